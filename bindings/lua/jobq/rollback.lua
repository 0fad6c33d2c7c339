--- For `jobq run-once --rollback`: all SQL of the run is one transaction in each database, and the
--- end of the run rolls it back. What would be a transaction is a savepoint in it, so that parts of
--- jobq.parallel cannot have one at the same time.
local core = require "jobq.core"

local M = {}

local real = {}
for name, f in pairs(core.sql) do
  real[name] = f
end

local shared = {} -- from pool to the session that has the transaction

--- What stands for a session: a part of the shared one.
local Part = {}
Part.__index = Part

local parts = 0

--- A way out that nobody has asked for: what the part has done is undone at once.
function Part:__close()
  if self.savepoint then
    pcall(real.post, self.session, "rollback to savepoint " .. self.savepoint)
  end
end

--- Makes the place to go back to.
function Part:mark()
  parts = parts + 1
  self.savepoint = "jobq_part_" .. parts
  return real.query(self.session, nil, "savepoint " .. self.savepoint, {}, 0)
end

local function new_part(pool)
  local part = setmetatable({ is_new = shared[pool] == nil }, Part)
  shared[pool] = shared[pool] or real.session(pool)
  part.session = shared[pool]
  return part
end

local function connect(part, seconds)
  if not part.is_new then
    return true
  end
  local ok, message, code = real.connect(part.session, seconds)
  if not ok then
    return nil, message, code
  end
  return real.query(part.session, nil, "begin", {}, 0)
end

--- A statement of its own must not break the transaction if it fails.
local function query(part, timeout, sql, values, count)
  if sql:find("^begin") then
    return part:mark()
  elseif part.savepoint then
    return real.query(part.session, timeout, sql, values, count)
  end
  local ok, message, code, detail, hint = part:mark()
  if ok then
    ok, message, code, detail, hint = real.query(part.session, timeout, sql, values, count)
  end
  if ok then
    part.savepoint = nil
  end
  return ok, message, code, detail, hint
end

local function finish(part, completes, result)
  local sql = "release savepoint " .. part.savepoint
  local ok, message, code, detail, hint = real.query(part.session, nil, sql, {}, 0)
  if not ok then
    return nil, message, code, detail, hint
  end
  part.savepoint = nil
  if completes and result ~= nil then
    return core.run.keep_result(result)
  end
  return true
end

--- From here on; there is no way back.
function M.install()
  local sql = core.sql
  sql.session, sql.connect, sql.query, sql.finish = new_part, connect, query, finish
  function sql.rows(part) return real.rows(part.session) end
  function sql.post(part, text) return real.post(part.session, text) end
  function sql.release() end
end

return M
