--- jobq.await: waits for the end of another job, by looking again and again, each time a bit later.
local core = require "jobq.core"
local database = require "jobq.database"

local M = {}

local WHERE = "jobq.await"
local FIRST_S, LAST_S = 0.02, 1
local ENDED = { completed = true, failed = true, cancelled = true }

-- Levels of errors: wrong, one of the checks, await, the handler.
local HANDLER = 4

local function wrong(text, ...)
  error(WHERE .. ": " .. text:format(...), HANDLER)
end

local function check_id(id)
  if math.type(id) ~= "integer" then
    wrong("expected the id of a job, got %s", database.show(id))
  end
end

local function timeout_of(options)
  if options == nil then
    return math.huge
  elseif type(options) ~= "table" then
    wrong("expected a table of options, got %s", database.show(options))
  end
  for name in pairs(options) do
    if name ~= "timeout" then
      wrong("unknown option '%s', expected timeout", tostring(name))
    end
  end
  local timeout = options.timeout or math.huge
  if type(timeout) ~= "number" or timeout < 0 then
    wrong("timeout: %s is not a number of seconds", database.show(timeout))
  end
  return timeout
end

local function look(id)
  local row, message, code, detail, hint = database.first(
    database.run_alone("queue", core.sql.statement "result", { id }, 1))
  if row and not row.status then
    return nil, ("job %d does not exist"):format(id), "not_found"
  end
  return row, message, code, detail, hint
end

--- Only this run waits; time is what it has slept, so that a spec's sleep ends it, too.
function M.await(id, options)
  check_id(id)
  local left, pause = timeout_of(options), FIRST_S
  while true do
    local row, message, code, detail, hint = look(id)
    if not row then
      return nil, message, code, detail, hint
    elseif ENDED[row.status] then
      local result = row.result and core.json.decode(row.result)
      return { id = id, status = row.status, result = result, error = row.error }
    elseif left <= 0 then
      return nil, ("job %d is still %s"):format(id, row.status), "timeout"
    end
    pause = math.min(pause, left)
    core.task.sleep(pause)
    left, pause = left - pause, math.min(pause * 1.5, LAST_S)
  end
end

return M
