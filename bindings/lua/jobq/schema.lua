--- The args option of a handler, compiled: to a function that checks the arguments of a job, and to
--- JSON Schema for forms and documentation.
---
---   args = { to = "email[]", subject = "string", note = "string?",
---            size = { "integer", min = 1, max = 10, default = 3 }, extra = true }
local core = require "jobq.core"
local formats = require "jobq.formats"
local nearest = require "jobq.nearest"

local M = {}

local OPTIONS = {
  "default", "enum", "extra", "fields", "items", "max", "min", "secret", "summary",
}
local SHOWN_BYTES = 40

local null = core.json.null
local compile_object

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

local function copy_options(field, spec, parsed)
  for key, value in pairs(spec) do
    if type(key) == "string" then
      if nearest.find(key, OPTIONS) ~= key then
        local text = "args.%s: unknown option '%s'%s"
        error(text:format(field, key, nearest.hint(key, OPTIONS)), 0)
      end
      parsed[key] = value
    end
  end
  return parsed
end

--- "string?" and { "string?", min = 1 } to one table: type, is_optional, is_list and the options.
local function parse(field, given)
  local spec = type(given) == "table" and given or { given }
  local word = spec[1]
  if type(word) ~= "string" then
    error(("args.%s: expected a type like 'string', got a %s"):format(field, type(word)), 0)
  end
  local name, mark = word:match("^(.-)(%??)$")
  local single = name:match("^(.*)%[%]$")
  name = single or name
  if not formats.types[name] then
    local text = "args.%s: '%s' is not a type%s"
    error(text:format(field, word, nearest.hint(name, formats.types)), 0)
  end
  local parsed = { type = name, is_optional = mark == "?", is_list = single ~= nil }
  return copy_options(field, spec, parsed)
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
  local fields = spec.fields and compile_object(spec.fields, spec.extra)
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

local function prefix(problems, from, part)
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
        prefix(problems, from, ("[%d]"):format(i))
      end
    end
    return list
  end
end

local function item_spec(spec)
  return { type = spec.type, enum = spec.enum, secret = spec.secret, fields = spec.fields,
    extra = spec.extra }
end

local function compile_field(field, given)
  local spec = parse(field, given)
  if spec.is_list then
    spec.check = compile_list(spec, compile_single(item_spec(spec)))
  elseif spec.type == "array" and spec.items then
    spec.item = compile_field(field .. "[]", spec.items)
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
    prefix(problems, from, "." .. name)
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

function compile_object(fields, allows_extra)
  local specs, names = {}, {}
  for name, given in pairs(fields) do
    if type(name) ~= "string" then
      error("args: expected names and types like to = 'email'", 0)
    end
    specs[name] = compile_field(name, given)
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
  end, specs, names
end

-- JSON Schema ---------------------------------------------------------------------------------

local object_schema

local function sized(schema, spec)
  local is_text = schema.type == "string"
  local suffix = schema.type == "array" and "Items" or is_text and "Length" or "imum"
  schema["min" .. suffix] = spec.min
  schema["max" .. suffix] = spec.max
  return schema
end

local function field_schema(spec)
  local single = {}
  for key, value in pairs(formats.types[spec.type].json) do
    single[key] = value
  end
  single.enum = spec.enum and core.json.array(spec.enum)
  if spec.fields then
    single = object_schema(select(2, compile_object(spec.fields)), spec.extra)
  end
  local schema = single
  if spec.is_list then
    schema = { type = "array", items = single }
  elseif spec.item then
    schema.items = field_schema(spec.item)
  end
  schema.default = spec.default
  schema.description = spec.summary
  schema.writeOnly = spec.secret and true or nil
  return sized(schema, spec)
end

function object_schema(specs, allows_extra)
  local required = core.json.array({})
  local properties = {}
  for name, spec in pairs(specs) do
    properties[name] = field_schema(spec)
    if not spec.is_optional and spec.default == nil then
      required[#required + 1] = name
    end
  end
  table.sort(required)
  return {
    type = "object",
    properties = next(properties) and properties or nil,
    required = required[1] and required or nil,
    additionalProperties = allows_extra and true or false,
  }
end

--- Raises a text (without position) if args is not what it should be.
---@param kind string
---@param args table
---@return fun(args: any): table?, string? check the arguments for run; or nil and all problems
---@return string schema JSON Schema 2020-12
function M.compile(kind, args)
  local fields = {}
  for name, given in pairs(args) do
    fields[name] = given
  end
  local allows_extra = fields.extra == true
  if allows_extra then
    fields.extra = nil
  end
  local check_object, specs = compile_object(fields, allows_extra)
  local schema = object_schema(specs, allows_extra)
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"

  local function check(given)
    if not formats.types.object.check(given) then
      return nil, ("%s: args: %s is not an object"):format(kind, quote(given, {}))
    end
    local problems = {}
    check_object(given, problems)
    if #problems == 0 then
      return given
    end
    prefix(problems, 1, "args")
    return nil, ("%s: %s%s"):format(kind, table.concat(problems, "; "), problems.hint or "")
  end
  return check, core.json.encode(schema)
end

return M
