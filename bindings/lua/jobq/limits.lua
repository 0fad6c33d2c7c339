--- The limits option of a handler: what it must be, and its JSON for jobq.declare_limits.
---
---   limits = { running = 10 }
---   limits = {
---     { running = 10 },
---     { name = "per domain", rate = "100/1m", burst = 20, key_by = "limit_key" },
---   }
---
--- A limit without a name has that of the kind.
local core = require "jobq.core"
local nearest = require "jobq.nearest"
local options = require "jobq.options"

local M = {}

local MOST = 1000000
local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }

local function is_count(value)
  return math.type(value) == "integer" and value >= 1 and value <= MOST
end

-- "1m", or "m"
local function parse_time(text)
  local number, unit = text:match "^(%d*%.?%d*)(%a+)$"
  number = number == "" and 1 or tonumber(number)
  local seconds = number and UNITS[unit] and number * UNITS[unit]
  return seconds and seconds >= 0.001 and seconds <= 366 * 86400 and seconds or nil
end

--- 5 or "5" is a second, "100/1m" or "100/m" a minute: starts, seconds; nil if it is no rate.
local function parse_rate(value)
  local starts, per = tostring(value):match "^(%d+)/?(.*)$"
  local seconds = starts == tostring(value) and 1 or parse_time(per or "")
  starts = math.tointeger(tonumber(starts))
  if is_count(starts) and seconds then
    return starts, seconds
  end
end

local function is_text(longest)
  return function(v)
    local length = type(v) == "string" and utf8.len(v)
    return length and length > 0 and length <= longest
  end
end

local COUNT = { "an integer from 1 to " .. MOST, is_count }
local OPTIONS = {
  burst = COUNT,
  key_by = { "the name of an argument or 'limit_key'", is_text(200) },
  name = { "a text of 1 to 100 characters", is_text(100) },
  rate = { "starts in a time, as in '100/1m' or 5, which is a second", parse_rate },
  running = COUNT,
}

local function check_options(kind, given)
  for name, value in pairs(given) do
    local option = OPTIONS[name]
    if not option then
      return ("unknown option '%s' in the limits of %s%s"):format(tostring(name), kind,
        nearest.hint(name, OPTIONS))
    elseif not option[2](value) then
      return ("%s of the limits of %s: %s is not %s%s"):format(
        name, kind, options.show(value), option[1],
        tostring(value):find "^0" and "\nhint: to stop all, jobq pause --kind " .. kind or "")
    end
  end
  if not given.running and not given.rate then
    return ("a limit of %s limits nothing\nhint: limits = { running = 10 } or "
      .. "{ rate = \"100/1m\" }"):format(kind)
  elseif given.burst and not given.rate then
    return ("burst of the limits of %s: %s has no rate to exceed"):format(kind, given.burst)
  end
  return nil
end

-- args: fields and types, or nil where the handler takes any.
local function check_key(kind, key_by, args)
  local first = key_by and key_by ~= "limit_key" and key_by:match "^[^.]*"
  if not first or not args or args[first] then
    return nil
  end
  local hint = nearest.hint(first, args)
  return ("key_by of the limits of %s: it has no argument '%s'%s"):format(kind, first,
    hint ~= "" and hint or "\nhint: 'limit_key' stands for the option of the enqueue")
end

local function compile_one(kind, given, args)
  local problem = check_options(kind, given) or check_key(kind, given.key_by, args)
  if problem then
    return nil, problem
  end
  local starts, seconds = parse_rate(given.rate or 1)
  return {
    name = given.name or kind, concurrency = given.running, key_by = given.key_by,
    rate = given.rate and starts, per = given.rate and seconds, burst = given.burst,
  }
end

--- The limits as jobq.declare_limits takes them, and their JSON; or nil and what is wrong.
---@param kind string
---@param given table
---@param args? table the handler's own
---@return table[]?, string
function M.compile(kind, given, args)
  local list, names = {}, {}
  for key, one in pairs(given[1] and given or { given }) do
    if math.type(key) ~= "integer" or type(one) ~= "table" then
      return nil, ("limits of %s: %s is not a limit\nhint: limits = { { running = 10 }, "
        .. "{ name = \"...\", rate = \"100/1m\" } }"):format(kind,
        type(key) == "string" and ("'%s'"):format(key) or options.show(one))
    end
    local limit, problem = compile_one(kind, one, args)
    if not limit then
      return nil, problem
    elseif names[limit.name] then
      return nil, ("limit '%s' of %s is defined twice\nhint: give each a name"):format(limit.name,
        kind)
    end
    names[limit.name] = true
    list[#list + 1] = limit
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list, core.json.encode(list)
end

return M
