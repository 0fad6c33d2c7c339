--- Fields of arguments and of settings: what is behind a name, compiled to a check of its value.
---
---   "string"  "email[]"  "string?"  { "integer", min = 1, max = 10, default = 3 }
local formats = require "jobq.formats"
local json = require "jobq.json"
local nearest = require "jobq.nearest"

local M = {}

local OPTIONS = {
  "default", "enum", "extra", "fields", "items", "max", "min", "secret", "summary",
}
local SHOWN_BYTES = 40

local null = json.null

local function quote(value, spec)
  if spec.secret then
    return "***"
  end
  if value == null then
    return "null"
  end
  if type(value) == "table" then
    return formats.types.array.check(value) and "an array" or "an object"
  end
  local text = tostring(value)
  if #text > SHOWN_BYTES then
    text = text:sub(1, (utf8.offset(text, 0, SHOWN_BYTES + 1) or SHOWN_BYTES + 1) - 1) .. "..."
  end
  return ("'%s'"):format(text)
end

local function copy_options(where, spec, parsed)
  for key, value in pairs(spec) do
    if type(key) == "string" then
      if nearest.find(key, OPTIONS) ~= key then
        local text = "%s: unknown option '%s'%s"
        error(text:format(where, key, nearest.hint(key, OPTIONS)), 0)
      end
      parsed[key] = value
    end
  end
  return parsed
end

--- "string?" and { "string?", min = 1 } to one table: type, is_optional, is_list and the options.
local function parse(where, given)
  local spec = type(given) == "table" and given or { given }
  local word = spec[1]
  if type(word) ~= "string" then
    error(("%s: expected a type like 'string', got a %s"):format(where, type(word)), 0)
  end
  local name, mark = word:match("^(.-)(%??)$")
  local single = name:match("^(.*)%[%]$")
  name = single or name
  if not formats.types[name] then
    local text = "%s: '%s' is not a type%s"
    error(text:format(where, word, nearest.hint(name, formats.types)), 0)
  end
  local parsed = { type = name, is_optional = mark == "?", is_list = single ~= nil }
  return copy_options(where, spec, parsed)
end

--- What min and max measure: the number itself, or how long it is.
local function size_of(value)
  if type(value) == "number" then
    return value, ""
  end
  if type(value) == "string" then
    return utf8.len(value) or #value, " characters"
  end
  return #value, " items"
end

local function check_limits(spec, value)
  if not spec.min and not spec.max then
    return nil
  end
  local size, unit = size_of(value)
  if spec.min and size < spec.min then
    return ("%s is less than %s%s"):format(quote(value, spec), spec.min, unit)
  end
  if spec.max and size > spec.max then
    return ("%s is more than %s%s"):format(quote(value, spec), spec.max, unit)
  end
  return nil
end

local function check_enum(spec, value)
  if not spec.enum then
    return nil
  end
  for _, allowed in ipairs(spec.enum) do
    if allowed == value then
      return nil
    end
  end
  local names = {}
  for i, allowed in ipairs(spec.enum) do
    names[i] = tostring(allowed)
  end
  return ("%s is not one of %s"):format(quote(value, spec), table.concat(names, ", "))
end

--- A check gets a value and a list to add problems to; it returns the value as the handler sees it.
--- Problems begin with the path below the value; whoever called puts its own part in front.
local function compile_single(spec)
  local format = formats.types[spec.type]
  local fields = spec.fields and M.compile_object(spec.fields, spec.extra)
  local to_integer = spec.type == "integer"
  return function(value, problems)
    if not format.check(value) then
      problems[#problems + 1] = (": %s is not %s"):format(quote(value, spec), format.article)
      return value
    end
    local problem = check_limits(spec, value) or check_enum(spec, value)
    if problem then
      problems[#problems + 1] = ": " .. problem
    end
    if fields then
      return fields(value, problems)
    end
    return to_integer and math.tointeger(value) or value
  end
end

--- Puts part in front of the problems from the one at `from` on.
function M.prefix(problems, from, part)
  for i = from, #problems do
    problems[i] = part .. problems[i]
  end
end

local function compile_list(spec, item)
  return function(list, problems)
    if not formats.types.array.check(list) then
      problems[#problems + 1] = (": %s is not an array"):format(quote(list, spec))
      return list
    end
    local problem = check_limits(spec, list)
    if problem then
      problems[#problems + 1] = ": " .. problem
    end
    for i, value in ipairs(list) do
      local from = #problems + 1
      list[i] = item(value, problems)
      if problems[from] then
        M.prefix(problems, from, ("[%d]"):format(i))
      end
    end
    return list
  end
end

local function item_spec(spec)
  return { type = spec.type, enum = spec.enum, secret = spec.secret, fields = spec.fields,
    extra = spec.extra }
end

--- A field from what is behind its name: its type and options, and check(value, problems), which
--- gives the value as its user sees it. Raises a text that begins with where.
function M.compile_field(where, given)
  local spec = parse(where, given)
  if spec.is_list then
    spec.check = compile_list(spec, compile_single(item_spec(spec)))
  elseif spec.type == "array" and spec.items then
    spec.item = M.compile_field(where .. "[]", spec.items)
    spec.check = compile_list(spec, spec.item.check)
  else
    spec.check = compile_single(spec)
  end
  return spec
end

--- nil and null are the same to a handler: absent.
local function check_field(object, name, spec, problems)
  local value = object[name]
  if value == nil or value == null and spec.type ~= "any" then
    if spec.default ~= nil then
      object[name] = spec.default
    elseif spec.is_optional then
      object[name] = nil
    else
      problems[#problems + 1] = (".%s: %s"):format(name, value == nil and "missing" or
        "null is not " .. formats.types[spec.type].article)
    end
    return
  end
  local from = #problems + 1
  object[name] = spec.check(value, problems)
  if problems[from] then
    M.prefix(problems, from, "." .. name)
  end
end

local function check_unknown(object, specs, problems)
  local unknown = {}
  for name in pairs(object) do
    if not specs[name] then
      unknown[#unknown + 1] = name
    end
  end
  table.sort(unknown)
  for _, name in ipairs(unknown) do
    problems[#problems + 1] = (".%s: unknown field"):format(name)
    problems.hint = problems.hint or nearest.hint(name, specs)
  end
end

--- A check like that of a field, for a table of fields; and the fields by name.
function M.compile_object(fields, allows_extra)
  local specs, names = {}, {}
  for name, given in pairs(fields) do
    if type(name) ~= "string" then
      error("args: expected names and types like to = 'email'", 0)
    end
    specs[name] = M.compile_field("args." .. name, given)
    names[#names + 1] = name
  end
  table.sort(names)
  return function(object, problems)
    for _, name in ipairs(names) do
      check_field(object, name, specs[name], problems)
    end
    if not allows_extra then
      check_unknown(object, specs, problems)
    end
    return object
  end, specs
end

M.quote = quote

return M
