--- The closed table of options that a function of the API takes last.
local core = require "jobq.core"
local nearest = require "jobq.nearest"

local M = {}

local UNITS = { K = 1 << 10, M = 1 << 20, G = 1 << 30 }

--- 64 * 1024 * 1024, or "64M"
function M.parse_bytes(value)
  if math.type(value) == "integer" then
    return value
  end
  local number, unit = tostring(value):match("^(%d+)([KMG]?)$")
  return number and math.tointeger(tonumber(number) * (UNITS[unit] or 1))
end

--- A value of an option, as messages name it.
function M.show(value)
  return type(value) == "string" and ("'%s'"):format(value)
    or type(value) == "number" and tostring(value)
    or "a " .. type(value)
end

local function is_type(name)
  return function(value) return type(value) == name end
end

--- Each type of option: in words, and as a test.
local TYPES = {
  boolean = { "a boolean", is_type "boolean" },
  bytes = {
    "a number of bytes or a text like '64M'",
    function(value) return (M.parse_bytes(value) or -1) >= 0 end,
  },
  count = { "a positive integer", function(v) return math.type(v) == "integer" and v > 0 end },
  ["function"] = { "a function", is_type "function" },
  path = {
    "a path",
    function(v) return type(v) == "string" and v ~= "" and not v:find("\0", 1, true) end,
  },
  port = {
    "an integer from 1 to 65535",
    function(v) return math.type(v) == "integer" and v >= 1 and v <= 65535 end,
  },
  seconds = {
    "a positive number of seconds",
    function(v) return type(v) == "number" and v > 0 and v < 3.2e9 end,
  },
  string = { "a string", is_type "string" },
  table = { "a table", is_type "table" },
}

function M.show(value)
  if type(value) == "string" then
    return ("'%s'"):format(value:sub(1, 100):gsub("%c", "?"))
  end
  return (type(value) == "number" or type(value) == "boolean") and tostring(value)
    or "a " .. type(value)
end

--- Raises, and says where in the handler.
function M.misuse(text, ...)
  core.task.raise(text:format(...))
end

--- Raises unless options is nil, or a table whose names and values are as types says: from name to
--- one of the TYPES above, or to an array of the only texts. Returns a table in any case.
---@param where string the function, for messages
---@param options any
---@param types table<string, string|string[]>
---@return table
function M.check(where, options, types)
  local function fail(text, ...)
    M.misuse("%s: " .. text, where, ...)
  end
  if options == nil then
    return {}
  elseif type(options) ~= "table" then
    fail("options: expected a table, got %s", M.show(options))
  end
  for name, value in pairs(options) do
    local expected = types[name]
    if expected == nil then
      fail("unknown option '%s'%s", tostring(name), nearest.hint(name, types))
    elseif type(expected) == "table" then
      local found = nearest.find(tostring(value), expected) == value
      if not found then
        local list = table.concat(expected, "', '")
        fail("%s: expected one of '%s', got %s", name, list, M.show(value))
      end
    elseif not TYPES[expected][2](value) then
      fail("%s: expected %s, got %s", name, TYPES[expected][1], M.show(value))
    end
  end
  return options
end

return M
