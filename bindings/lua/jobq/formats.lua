--- The types of arguments: each says in words what it is, and checks one value.
local M = {}

local function text_that(matches)
  return function(value)
    return type(value) == "string" and matches(value)
  end
end

local function is_email(text)
  local name, domain = text:match("^([^@%s%c<>,;:\"()%[%]\\]+)@([%w%.%-\128-\255]+)$")
  return name ~= nil
    and #text <= 254
    and not domain:find("..", 1, true)
    and domain:match("^[%w\128-\255]") ~= nil
    and domain:match("[%w\128-\255]$") ~= nil
end

local function is_url(text)
  return text:match("^%a[%w+.-]*://[^%s%c]+$") ~= nil
end

local function is_uuid(text)
  local x = "%x"
  local pattern = ("^%s%%-%s%%-%s%%-%s%%-%s$"):format(
    x:rep(8), x:rep(4), x:rep(4), x:rep(4), x:rep(12))
  return text:match(pattern) ~= nil
end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_date(year, month, day)
  local is_leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local days = month == 2 and is_leap and 29 or DAYS[month]
  return days ~= nil and day >= 1 and day <= days
end

local function is_zone(text)
  local hours, minutes = text:match("^[+-](%d%d):(%d%d)$")
  return text == "Z" or text == "z" or hours and tonumber(hours) < 24 and tonumber(minutes) < 60
end

--- RFC 3339: 2026-01-31T14:02:11.5Z
local function is_timestamp(text)
  local year, month, day, hour, minute, second, rest =
    text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt ](%d%d):(%d%d):(%d%d)(.*)$")
  if not year then
    return false
  end
  local zone = rest:gsub("^%.%d+", "")
  return is_date(tonumber(year), tonumber(month), tonumber(day))
    and tonumber(hour) < 24
    and tonumber(minute) < 60
    and tonumber(second) <= 60
    and is_zone(zone)
end

local UNITS = { ms = true, s = true, m = true, h = true }

local function is_duration(value)
  if type(value) == "number" then
    return value >= 0 and value < math.huge
  end
  local number, unit = tostring(value):match("^(%d+%.?%d*)(%a+)$")
  return type(value) == "string" and number ~= nil and UNITS[unit] == true
end

local function is_array(value)
  return type(value) == "table" and (getmetatable(value) == "jobq.array" or value[1] ~= nil)
end

--- article: how messages say it. check: is value one? json: its JSON Schema.
M.types = {
  any = { article = "a value", json = {}, check = function() return true end },
  array = { article = "an array", json = { type = "array" }, check = is_array },
  boolean = {
    article = "a boolean",
    json = { type = "boolean" },
    check = function(value) return type(value) == "boolean" end,
  },
  duration = {
    article = "a duration (500ms, 10s, 5m, 2h or a number of seconds)",
    json = { type = { "string", "number" } },
    check = is_duration,
  },
  email = {
    article = "an email",
    json = { type = "string", format = "email" },
    check = text_that(is_email),
  },
  integer = {
    article = "an integer",
    json = { type = "integer" },
    check = function(value) return type(value) == "number" and math.tointeger(value) ~= nil end,
  },
  number = {
    article = "a number",
    json = { type = "number" },
    check = function(value) return type(value) == "number" end,
  },
  object = {
    article = "an object",
    json = { type = "object" },
    check = function(value) return type(value) == "table" and not is_array(value) end,
  },
  string = {
    article = "a string",
    json = { type = "string" },
    check = function(value) return type(value) == "string" end,
  },
  timestamp = {
    article = "a timestamp (like 2026-01-31T14:02:11Z)",
    json = { type = "string", format = "date-time" },
    check = text_that(is_timestamp),
  },
  url = {
    article = "a url",
    json = { type = "string", format = "uri" },
    check = text_that(is_url),
  },
  uuid = {
    article = "a uuid",
    json = { type = "string", format = "uuid" },
    check = text_that(is_uuid),
  },
}

return M
