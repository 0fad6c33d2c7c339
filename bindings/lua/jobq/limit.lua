--- jobq.limit(name, key): what a run has learned of a limit, for the jobs that come after it.
local core = require "jobq.core"
local database = require "jobq.database"
local nearest = require "jobq.nearest"
local strict = require "jobq.strict"

local M = {}

local methods = {}

local Limit = { __name = "jobq.limit", __metatable = false, __newindex = strict.refuse "limit" }

function Limit.__index(_, name)
  local method = methods[name]
  if not method then
    error(("a limit has no method '%s'%s"):format(tostring(name), nearest.hint(name, methods)), 2)
  end
  return method
end

local function tell(where, statement, limit, number)
  if type(number) ~= "number" then
    error(("%s: expected a number, got %s"):format(where, database.show(number)), 3)
  end
  local rows, message, code, detail, hint = database.run_alone("queue",
    core.sql.statement(statement), { rawget(limit, "name"), number, rawget(limit, "key") }, 3)
  if not rows then
    return nil, message, code, detail, hint
  end
  return true
end

function methods.hold(limit, seconds)
  local done, message, code, detail, hint = tell("limit:hold", "hold_limit", limit, seconds)
  return done, message, code, detail, hint
end

function methods.used(limit, starts)
  local done, message, code, detail, hint = tell("limit:used", "use_limit", limit, starts)
  return done, message, code, detail, hint
end

function M.limit(name, key)
  if type(name) ~= "string" then
    error(("jobq.limit: expected the name of a limit, got %s"):format(database.show(name)), 2)
  elseif key ~= nil and type(key) ~= "string" and type(key) ~= "number" then
    error(("jobq.limit: key: expected a string, got %s"):format(database.show(key)), 2)
  end
  return setmetatable({ name = name, key = key ~= nil and tostring(key) or "" }, Limit)
end

return M
