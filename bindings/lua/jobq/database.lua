--- Statements on named databases: what jobq.sql, its transactions and jobq.enqueue have in common.
local core = require "jobq.core"
local nearest = require "jobq.nearest"
local refusal = require "jobq.refusal"
local settings = require "jobq.settings"

local M = {}

local CONNECTIONS = 5 -- of an executor to a database, at most
local WAIT_SECONDS = 30 -- for one of them
local STALE = "cached plan must not change result type"

M.show = refusal.show

---- databases ----

local pools = {} -- by dsn and size

--- Raises when nobody has configured it. "queue" is the database that the jobs are in; it is the
--- default, too, unless the setting database.default names another.
function M.dsn(name)
  if name == "queue" then
    return settings.queue_dsn or settings.text("database.default")
  end
  local configured = settings.text("database." .. name, nil)
  if not configured and name == "default" then
    configured = settings.queue_dsn
  end
  return configured or settings.text("database." .. name)
end

local function connections_of(name)
  local value = settings.text(("database.%s.connections"):format(name), CONNECTIONS)
  local number = math.tointeger(tonumber(value))
  if not number or number < 1 or number > 1000 then
    error(("setting database.%s.connections: '%s' is not an integer from 1 to 1000"):format(
      name, tostring(value)), 0)
  end
  return number
end

--- Names of the same database share their connections, as "default" and "queue" mostly do.
local function pool_of(name)
  local dsn, connections = M.dsn(name), connections_of(name == "queue" and "default" or name)
  local key = connections .. " " .. dsn
  pools[key] = pools[key] or core.sql.pool(dsn, connections)
  return pools[key]
end

--- A session for a <close> variable; it holds no connection before connect().
function M.session(name)
  return core.sql.session(pool_of(name))
end

function M.connect(session)
  return core.sql.connect(session, WAIT_SECONDS)
end

---- statements ----

--- How many elements there are in { sql, ..., timeout = seconds }; holes count, too.
local function check_statement(where, given)
  local count, timeout = 0, given.timeout
  for name in pairs(given) do
    if math.type(name) == "integer" and name > 0 then
      count = math.max(count, name)
    elseif name ~= "timeout" then
      error(("%s: unknown option '%s'%s"):format(
        where, tostring(name), nearest.hint(name, { "timeout" })), 4)
    end
  end
  if timeout ~= nil and not (type(timeout) == "number" and timeout > 0) then
    error(("%s: timeout: %s is not a positive number of seconds"):format(
      where, tostring(timeout)), 4)
  end
  return count
end

--- What the caller's caller gave, (sql, ...) or a table, as sql, values, how many, timeout.
function M.statement(where, first, ...)
  if type(first) == "string" then
    return first, { ... }, select("#", ...), nil
  end
  if type(first) ~= "table" or type(first[1]) ~= "string" then
    error(("%s: expected a statement, got %s"):format(where, M.show(first)), 3)
  end
  local count = check_statement(where, first)
  return first[1], table.move(first, 2, count, 1, {}), count - 1, first.timeout
end

--- On a session: rows and what is known of them; or nil, message, code, detail, hint.
function M.run(session, sql, values, count, timeout)
  local ok, message, code, detail, hint =
    core.sql.query(session, timeout, sql, values or {}, count or 0)
  if not ok then
    return nil, message, code, detail, hint
  end
  local rows, info = core.sql.rows(session)
  return rows, info
end

--- The same on a session of its own. A plan that a migration has outdated is made anew, once.
function M.run_alone(name, sql, values, count, timeout)
  local session <close> = M.session(name)
  local ok, why, connect_code = M.connect(session)
  if not ok then
    return nil, why, connect_code
  end
  local rows, message, code, detail, hint = M.run(session, sql, values, count, timeout)
  if not rows and code == "0A000" and message == STALE then
    rows, message, code, detail, hint = M.run(session, sql, values, count, timeout)
  end
  return rows, message, code, detail, hint
end

--- The first row, or nil.
function M.first(rows, message, code, detail, hint)
  if not rows then
    return nil, message, code, detail, hint
  end
  return rows[1]
end

--- The first column of the first row, or nil.
function M.value(rows, info, code, detail, hint)
  if not rows then
    return nil, info, code, detail, hint
  end
  return rows[1] and rows[1][info.columns[1]]
end

return M
