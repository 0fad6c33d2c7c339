--- Settings of handlers: --set NAME=VALUE and the config file, else the environment.
local nearest = require "jobq.nearest"

local M = {}

local values = {}

--- How to reach the queue's database; nil where there is no queue.
M.queue_dsn = nil

--- Takes NAME=VALUE lines; a later one counts.
---@param text string
---@param queue_dsn string?
function M.load(text, queue_dsn)
  M.queue_dsn = queue_dsn
  for name, value in text:gmatch("([^=\n]+)=([^\n]*)") do
    values[name] = value
  end
end

local function variable(name)
  return "JOBQ_" .. name:upper():gsub("[^%w]", "_")
end

--- jobq.config(name [, default]): the setting as text; without a default it must be there.
---@param name string
---@param ... any default
---@return any
function M.get(name, ...)
  if type(name) ~= "string" then
    error(("jobq.config: expected the name of a setting, got %s"):format(type(name)), 2)
  end
  local value = values[name] or os.getenv(variable(name))
  if value ~= nil then
    return value
  end
  if select("#", ...) > 0 then
    return (...)
  end
  local hint = nearest.hint(name, values)
  if hint == "" then
    hint = ("\nhint: pass --set %s=VALUE, or set %s"):format(name, variable(name))
  end
  error(("setting '%s' is not there%s"):format(name, hint), 2)
end

return M
