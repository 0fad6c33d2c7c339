--- jobq.emit and tx:emit.
local core = require "jobq.core"
local database = require "jobq.database"
local nearest = require "jobq.nearest"

local M = {}

-- Levels of errors: here, emit_by, the function that the handler calls, the handler.
local HANDLER = 4

local function check(where, name, options)
  if type(name) ~= "string" then
    error(("%s: expected the name of an event, got %s"):format(
      where, database.show(name)), HANDLER)
  elseif options ~= nil and type(options) ~= "table" then
    error(("%s: expected a table of options, got %s"):format(
      where, database.show(options)), HANDLER)
  end
  for option, value in pairs(options or {}) do
    if option ~= "id" then
      error(("%s: unknown option '%s'%s"):format(
        where, tostring(option), nearest.hint(option, { "id" })), HANDLER)
    elseif type(value) ~= "string" then
      error(("%s: id: expected a string, got %s"):format(where, database.show(value)), HANDLER)
    end
  end
end

--- `run` executes sql, values, count. Gives whether the event is new; or nil, message, code and
--- what else the server said.
function M.emit_by(where, run, name, payload, options)
  check(where, name, options)
  local ok, text = pcall(core.json.encode, payload == nil and core.json.null or payload)
  if not ok then
    error(("%s: payload: %s"):format(where, text), 3)
  end
  local rows, message, code, detail, hint =
    run(core.sql.statement "emit_event", { name, text, options and options.id }, 3)
  if not rows then
    return nil, message, code, detail, hint
  end
  return rows[1].added
end

local function on_queue(sql, values, count)
  local rows, message, code, detail, hint = database.run_alone("queue", sql, values, count)
  return rows, message, code, detail, hint
end

function M.emit(name, payload, options)
  local added, message, code, detail, hint =
    M.emit_by("jobq.emit", on_queue, name, payload, options)
  return added, message, code, detail, hint
end

return M
