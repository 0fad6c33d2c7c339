--- config.lua in a folder of handlers: which settings there are, of what type, with what default.
---
---   return { crm = { url = "url", pages = { "integer", min = 1, default = 10 } } }
---
--- It is data: no library is there while it runs. So the worker and `jobq config` read it alike.
local fields = require "jobq.fields"
local json = require "jobq.json"
local lines_of = require "jobq.lines"
local sorted_keys = require "jobq.sorted_keys"

local M = {}

M.FILE = "config.lua"

local SECRET_BYTES_MAX = 64 << 10

local YES = { yes = true, ["true"] = true, on = true, ["1"] = true }
local NO = { no = true, ["false"] = true, off = true, ["0"] = true }

local function fail(source, text, ...)
  error(("%s: " .. text):format(source, ...), 0)
end

---- values ----

local function to_number(text)
  return tonumber(text) or text
end

local function to_boolean(text)
  if YES[text] or NO[text] then
    return YES[text] ~= nil
  end
  return text
end

--- What is no JSON stays a text, which the check then refuses, or takes if it takes anything.
local function from_json(text)
  local ok, value = pcall(json.decode, text)
  if ok and value ~= nil then
    return value
  end
  return text
end

--- Settings come as text; each type that is none says what it makes of one.
local CONVERSIONS = {
  any = from_json, array = from_json, boolean = to_boolean, duration = to_number,
  integer = to_number, number = to_number, object = from_json,
}

--- "a, b", or JSON.
local function to_list(text, convert)
  if text:find("^%s*%[") then
    return from_json(text)
  end
  local list = json.array {}
  for part in text:gmatch("[^,]+") do
    list[#list + 1] = convert(part:match("^%s*(.-)%s*$"))
  end
  return list
end

local function as_it_is(text)
  return text
end

local function convert(spec, text)
  local conversion = CONVERSIONS[spec.type] or as_it_is
  if spec.is_list then
    return to_list(text, conversion)
  end
  return conversion(text)
end

local function check(setting, given)
  local problems = {}
  local value = setting.spec.check(given, problems)
  if problems[1] then
    return nil, setting.name .. problems[1]
  end
  return value
end

--- The value of a setting from its text, nil where nobody has set it; or nil and what is wrong.
function M.value(setting, text)
  local spec = setting.spec
  if text ~= nil then
    return check(setting, convert(spec, text))
  elseif spec.default == nil and not spec.is_optional then
    return nil, setting.name .. ": missing"
  end
  return spec.default
end

---- secrets ----

--- "file:PATH" or "env:NAME": where a secret is, rather than the secret.
function M.is_source(text)
  return text:find("^file:.") ~= nil or text:find("^env:.") ~= nil
end

local function read_file(path)
  local file, why = io.open(path, "rb")
  local content = file and file:read(SECRET_BYTES_MAX + 1)
  if file then
    file:close()
  end
  if not file then
    return nil, why
  elseif #(content or "") > SECRET_BYTES_MAX then
    return nil, ("%s: more than %d bytes"):format(path, SECRET_BYTES_MAX)
  end
  return ((content or ""):gsub("\r?\n$", "")) -- editors put a line end there
end

--- The secret itself from what is set: the same, or what is where that says; or nil and why.
function M.secret_text(text)
  local path, variable = text:match("^file:(.+)$"), text:match("^env:(.+)$")
  if path then
    return read_file(path)
  elseif variable then
    local content = os.getenv(variable)
    return content, content == nil and ("variable %s is not set"):format(variable) or nil
  end
  return text
end

---- the file ----

local function check_name(source, name)
  if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    fail(source, "'%s' is not a name of letters, digits and _", tostring(name))
  end
end

local function declare(source, name, given)
  local spec = fields.compile_field(("%s: %s"):format(source, name), given)
  if spec.secret and (spec.is_list or CONVERSIONS[spec.type]) then
    fail(source, "%s: a secret is a text, not '%s%s'", name, spec.type, spec.is_list and "[]" or "")
  end
  local setting = { name = name, spec = spec, source = source }
  if spec.default == nil then
    return setting
  elseif spec.secret then
    fail(source, "%s: a secret has no default", name)
  end
  local _, problem = check(setting, spec.default)
  if problem then
    fail(source, "%s: default%s", name, problem:sub(#name + 1))
  end
  return setting
end

local function declare_group(list, path, lines, group, members)
  local line = lines_of.key(lines, group, 1) or 1
  local source = ("%s:%d"):format(path, line)
  check_name(source, group)
  if type(members) ~= "table" or members[1] ~= nil then
    fail(source, "'%s' is no group of settings: expected a table like { host = 'string' }", group)
  end
  for _, name in ipairs(sorted_keys(members)) do
    source = ("%s:%d"):format(path, lines_of.key(lines, name, line) or line)
    check_name(source, name)
    list[#list + 1] = declare(source, group .. "." .. name, members[name])
  end
end

--- The settings that a file declares, sorted by name: each with name, spec and source, its place.
--- Raises a text that begins with file and line.
---@param path string
---@param text string
function M.read(path, text)
  local chunk, message = load(text, "@" .. path, "t", {})
  if not chunk then
    error(message, 0)
  end
  local ok, groups = pcall(chunk)
  if not ok then
    error(tostring(groups), 0)
  elseif type(groups) ~= "table" then
    fail(path, "expected the file to return a table of groups, got %s", type(groups))
  end
  local list, lines = {}, lines_of.split(text)
  for _, group in ipairs(sorted_keys(groups)) do
    declare_group(list, path, lines, group, groups[group])
  end
  return list
end

return M
