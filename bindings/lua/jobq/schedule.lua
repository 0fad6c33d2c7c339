--- The schedule option of a handler: what it must be, and its JSON for jobq.declare_schedules.
---
---   schedule = "30 3 * * *"
---   schedule = { "30 3 * * *", zone = "Europe/Berlin", args = { days = 1 }, overlap = "queue" }
---
--- Zones are the database's: it checks them when the worker declares its kinds.
local core = require "jobq.core"
local cron = require "jobq.cron"
local nearest = require "jobq.nearest"
local options = require "jobq.options"

local M = {}

local function one_of(...)
  local words = { ... }
  return {
    "one of " .. table.concat(words, ", "),
    function(value)
      for _, word in ipairs(words) do
        if value == word then
          return true
        end
      end
      return false
    end,
  }
end

local function seconds_to(most, words)
  return {
    "a number of seconds from 0 to " .. words,
    function(value) return type(value) == "number" and value >= 0 and value <= most end,
  }
end

local OPTIONS = {
  [1] = { "a cron line", function(v) return type(v) == "string" end },
  args = { "a table of arguments", function(v) return type(v) == "table" end },
  jitter = seconds_to(86400, "86400"),
  missed = one_of("one", "skip", "all"),
  overlap = one_of("skip", "queue_one", "queue", "allow", "cancel"),
  window = seconds_to(31 * 86400, "2678400"),
  zone = { "the name of a time zone", function(v) return type(v) == "string" and v ~= "" end },
}

local NAMES = { "args", "jitter", "missed", "overlap", "window", "zone" }

local function with_hint(message, hint)
  return hint and ("%s\nhint: %s"):format(message, hint) or message
end

local function check_options(kind, given)
  for name, value in pairs(given) do
    local option = OPTIONS[name]
    if not option then
      return ("unknown option '%s' in the schedule of %s%s"):format(tostring(name), kind,
        nearest.hint(name, NAMES))
    elseif not option[2](value) then
      local what = name == 1 and "schedule" or name .. " of the schedule"
      return ("%s of %s: %s is not %s"):format(what, kind, options.show(value), option[1])
    end
  end
  if given[1] == nil then
    return ("the schedule of %s has no cron line\nhint: schedule = { \"30 3 * * *\", ... }"):format(
      kind)
  end
  return nil
end

--- The arguments as they will be: through JSON, so that the check does not change the file's own.
local function encode_args(kind, args, check)
  local text = next(args or {}) == nil and "{}" or core.json.encode(args)
  local _, problem
  if check then
    _, problem = check((core.json.decode(text)))
  end
  return text, problem and ("the schedule of %s: %s"):format(kind, problem)
end

--- JSON, or nil and what is wrong.
---@param kind string
---@param given any
---@param check? fun(args: table): table?, string? of the handler's arguments
---@return string?, string?
function M.compile(kind, given, check)
  given = type(given) == "string" and { given } or given
  if type(given) ~= "table" then
    return nil, ("schedule of %s: %s is not a cron line or a table that begins with one"):format(
      kind, options.show(given))
  end
  local problem = check_options(kind, given)
  if problem then
    return nil, problem
  end
  local wrong, hint = cron.problem(given[1])
  if wrong then
    return nil, with_hint(wrong, hint)
  end
  local ok, args, bad_args = pcall(encode_args, kind, given.args, check)
  if not ok or bad_args then
    return nil, bad_args or ("the schedule of %s: args: %s"):format(kind, core.task.explain(args))
  end
  return core.json.encode {
    expression = given[1], zone = given.zone, args = core.json.decode(args),
    overlap = given.overlap, missed = given.missed, window = given.window, jitter = given.jitter,
  }
end

return M
