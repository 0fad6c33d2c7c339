--- The arguments of a job against the JSON Schema that its handler published, before it is stored.
--
-- Reads what the args option of handlers can say, no more of JSON Schema than that; the messages
-- are those that the worker would give.
local codec = require "jobq.json"
local failure = require "_failure"
local formats = require "jobq.formats"
local near = require "_near"
local text = require "_text"

local M = {}

local null = codec.null
local TYPES = { email = "email", uri = "url", uuid = "uuid", ["date-time"] = "timestamp" }
local SHOWN_BYTES = 40

local function type_of(schema)
  if type(schema.type) == "table" then
    return formats.types.duration
  end
  return formats.types[TYPES[schema.format] or schema.type or "any"] or formats.types.any
end

local function quote(value, schema)
  if schema.writeOnly then
    return "***"
  elseif value == null then
    return "null"
  elseif type(value) == "table" then
    return formats.types.array.check(value) and "an array" or "an object"
  end
  local shown = tostring(value)
  if #shown > SHOWN_BYTES then
    shown = shown:sub(1, (utf8.offset(shown, 0, SHOWN_BYTES + 1) or SHOWN_BYTES + 1) - 1) .. "..."
  end
  return ("'%s'"):format(shown)
end

-- What the limits measure, their names in the schema, and the unit.
local function size_of(value)
  if type(value) == "number" then
    return value, "imum", ""
  elseif type(value) == "string" then
    return utf8.len(value) or #value, "Length", " characters"
  elseif type(value) == "table" then
    return #value, "Items", " items"
  end
end

local function check_limits(schema, value)
  local size, suffix, unit = size_of(value)
  local least, most = schema["min" .. (suffix or "")], schema["max" .. (suffix or "")]
  if size and least and size < least then
    return ("%s is less than %s%s"):format(quote(value, schema), least, unit)
  elseif size and most and size > most then
    return ("%s is more than %s%s"):format(quote(value, schema), most, unit)
  end
end

local function check_enum(schema, value)
  local names = {}
  for i, allowed in ipairs(schema.enum or {}) do
    if allowed == value then
      return nil
    end
    names[i] = tostring(allowed)
  end
  return names[1] and ("%s is not one of %s"):format(
    quote(value, schema), table.concat(names, ", ")) or nil
end

local check_value

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do
    table.insert(keys, key)
  end
  table.sort(keys)
  return keys
end

local function check_required(schema, object, path, problems)
  for _, name in ipairs(schema.required or {}) do
    if object[name] == nil or object[name] == null then
      local property = schema.properties[name]
      table.insert(problems, ("%s.%s: %s"):format(path, name, object[name] == nil and "missing"
        or "null is not " .. type_of(property).article))
    end
  end
end

local function check_object(schema, object, path, problems)
  local properties = schema.properties or {}
  check_required(schema, object, path, problems)
  for _, name in ipairs(sorted_keys(object)) do
    local property, value = properties[name], object[name]
    if property and value ~= null then
      check_value(property, value, ("%s.%s"):format(path, name), problems)
    elseif not property and schema.additionalProperties == false then
      table.insert(problems, ("%s.%s: unknown field"):format(path, name))
      problems.hint = problems.hint or near.hint(name, sorted_keys(properties))
    end
  end
end

function check_value(schema, value, path, problems)
  local expected = type_of(schema)
  if not expected.check(value) then
    table.insert(problems, ("%s: %s is not %s"):format(path, quote(value, schema),
      expected.article))
    return
  end
  local problem = check_limits(schema, value) or check_enum(schema, value)
  if problem then
    table.insert(problems, ("%s: %s"):format(path, problem))
  end
  if expected == formats.types.object then
    check_object(schema, value, path, problems)
  elseif expected == formats.types.array and schema.items then
    for i, item in ipairs(value) do
      check_value(schema.items, item, ("%s[%d]"):format(path, i), problems)
    end
  end
end

--- schema and args are decoded JSON. Raises with all that is wrong.
function M.check(kind, schema, args)
  local problems = {}
  check_value(schema, args, "args", problems)
  if problems[1] then
    failure.raise("usage", ("%s: %s"):format(text.clean(kind),
      text.clean(table.concat(problems, "; "))), problems.hint and text.clean(problems.hint))
  end
end

--- The published schema of a kind, decoded; nil if there is none.
function M.of(context, kind)
  local row = context.db:row("select jobq.schema_of($1::text)::text as schema", kind)
  return row.schema and codec.decode(row.schema) or nil
end

--- The part of a schema that a path leads to, or nil.
function M.at(schema, path)
  for _, step in ipairs(path) do
    schema = schema and (schema.properties and schema.properties[step]
      or math.tointeger(step) and schema.items) or nil
  end
  return schema
end

return M
