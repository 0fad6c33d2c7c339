--- One handler as its file declares it, checked and completed.
local core = require "jobq.core"
local limits = require "jobq.limits"
local nearest = require "jobq.nearest"
local options = require "jobq.options"
local schedule = require "jobq.schedule"
local schema = require "jobq.schema"

local M = {}

local function is_seconds(value)
  return type(value) == "number" and value > 0 and value < math.huge
end

local function is_integer(min, max)
  return function(value)
    return math.type(value) == "integer" and value >= min and value <= max
  end
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function is_texts(value)
  if type(value) ~= "table" then
    return false
  end
  for key, text in pairs(value) do
    if math.type(key) ~= "integer" or not is_text(text) then
      return false
    end
  end
  return true
end

--- Each option: what it must be, in words and as a test, and what it is when left out.
local OPTIONS = {
  args = { "a table of fields and types", function(v) return type(v) == "table" end },
  config = { "an array of names of settings", is_texts },
  limits = { "a limit, or an array of limits", function(v) return type(v) == "table" end },
  max_attempts = { "an integer from 1 to 32767", is_integer(1, 32767), 3 },
  memory = {
    "a number of bytes or a text like '64M', from 1M",
    function(v) return (options.parse_bytes(v) or 0) >= 1 << 20 end,
  },
  priority = { "an integer from 0 to 9", is_integer(0, 9), 5 },
  queue = { "a text", is_text, "default" },
  retry_delay = {
    "a number of seconds or a function of the attempt",
    function(v) return type(v) == "function" or v == 0 or is_seconds(v) end,
  },
  run = { "a function", function(v) return type(v) == "function" end },
  schedule = {
    "a cron line or a table that begins with one",
    function(v) return type(v) == "string" or type(v) == "table" end,
  },
  summary = { "a text", is_text },
  timeout = { "a positive number of seconds", is_seconds, 60 },
}

--- nil if all is well, else what is wrong, and the name of the option to point at.
local function find_problem(kind, given)
  for name, value in pairs(given) do
    local option = OPTIONS[name]
    if not option then
      local text = "unknown option '%s' in %s%s"
      return text:format(tostring(name), kind, nearest.hint(name, OPTIONS)), name
    end
    if not option[2](value) then
      return ("%s of %s: %s is not %s"):format(name, kind, options.show(value), option[1]), name
    end
  end
  if not given.run then
    return ("%s has no run function"):format(kind), kind:match("[^.]*$")
  end
  return nil
end

local function compile_args(handler, kind, given)
  local ok, check, text = pcall(schema.compile, kind, given.args)
  if not ok then
    return ("%s: %s"):format(kind, core.task.explain(check))
  end
  handler.check, handler.schema = check, text
end

local function compile_schedule(handler, kind, given)
  local problem
  handler.schedule, problem = schedule.compile(kind, given.schedule, handler.check)
  return problem
end

local function compile_limits(handler, kind, given)
  local list, text = limits.compile(kind, given.limits, given.args)
  if not list then
    return text
  end
  handler.own_limits, handler.limits = list, text
end

-- args first: the schedule's are checked by it.
local COMPILED = {
  { "args", compile_args }, { "schedule", compile_schedule }, { "limits", compile_limits },
}

--- The handler with all options; or nil, what is wrong, the option to point at.
---@param kind string
---@param given table
---@return table?, string?, string?
function M.complete(kind, given)
  local problem, name = find_problem(kind, given)
  if problem then
    return nil, problem, name
  end
  local handler = { name = kind }
  for option, rule in pairs(OPTIONS) do
    handler[option] = given[option] == nil and rule[3] or given[option]
  end
  handler.memory = given.memory and options.parse_bytes(given.memory)
  for _, option in ipairs(COMPILED) do
    problem = given[option[1]] and option[2](handler, kind, given)
    if problem then
      return nil, problem, option[1]
    end
  end
  return handler
end

return M
