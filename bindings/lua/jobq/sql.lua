--- jobq.sql: statements and transactions on the default database, and on others by name.
local database = require "jobq.database"
local strict = require "jobq.strict"
local transaction = require "jobq.transaction"

--- The functions of a database; all of them wait. Messages call them prefix and name.
local function functions_of(name, prefix)
  local M = {}

  function M.query(...)
    local rows, info, code, detail, hint =
      database.run_alone(name, database.statement(prefix .. "query", ...))
    return rows, info, code, detail, hint
  end

  function M.first(...)
    return database.first(
      database.run_alone(name, database.statement(prefix .. "first", ...)))
  end

  function M.value(...)
    return database.value(
      database.run_alone(name, database.statement(prefix .. "value", ...)))
  end

  function M.transaction(f, options)
    local where = prefix .. "transaction"
    if type(f) ~= "function" then
      error(("%s: expected a function, got %s"):format(where, database.show(f)), 2)
    elseif options ~= nil and type(options) ~= "table" then
      error(("%s: expected a table of options, got %s"):format(where, database.show(options)), 2)
    end
    return transaction.run(name, transaction.begin(where, options), f)
  end

  return M
end

local M = functions_of("default", "jobq.sql.")

local databases = {}

local function method(f)
  return function(_, ...)
    return f(...)
  end
end

--- The database of the setting database.NAME; "queue" is the one that the jobs are in.
function M.database(name)
  if type(name) ~= "string" or not name:find("^[%w_-]+$") then
    error(("jobq.sql.database: %s is not the name of a database"):format(database.show(name)), 2)
  end
  if not databases[name] then
    database.dsn(name)
    local methods = {}
    for key, f in pairs(functions_of(name, "db:")) do
      methods[key] = method(f)
    end
    databases[name] = strict.close("a database", methods)
  end
  return databases[name]
end

return strict.close("jobq.sql", M)
