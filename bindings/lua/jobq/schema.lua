--- The args option of a handler, compiled: to a function that checks the arguments of a job, and to
--- JSON Schema for forms and documentation.
---
---   args = { to = "email[]", subject = "string", note = "string?",
---            size = { "integer", min = 1, max = 10, default = 3 }, extra = true }
local core = require "jobq.core"
local fields_of = require "jobq.fields"
local formats = require "jobq.formats"

local M = {}

local compile_object, prefix, quote = fields_of.compile_object, fields_of.prefix, fields_of.quote

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
