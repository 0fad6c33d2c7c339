--- What --json prints: objects keep the order of their fields, JSON of jobs goes out as it came.
local codec = require "jobq.json"

local M = {}

local Raw = {}
local Object = {}

--- JSON text that came out of PostgreSQL; nil is null.
function M.raw(text)
  return text and setmetatable({ text = text }, Raw)
end

--- { { "id", "42" }, { "error", nil } }: the fields in this order, nil as null.
function M.object(fields)
  return setmetatable(fields, Object)
end

--- The fields of that names from a row, in that order.
function M.pick(row, names)
  local fields = {}
  for i, name in ipairs(names) do
    fields[i] = { name, row[name] }
  end
  return M.object(fields)
end

local encode

local function join(open, items, close)
  return open .. table.concat(items, ",") .. close
end

local function object(value)
  local items = {}
  for i, field in ipairs(value) do
    items[i] = codec.encode(field[1]) .. ":" .. encode(field[2])
  end
  return join("{", items, "}")
end

local function array(value)
  local items = {}
  for i = 1, #value do
    items[i] = encode(value[i])
  end
  return join("[", items, "]")
end

local function escape(char)
  return ("\\u%04x"):format(utf8.codepoint(char))
end

-- What a terminal would obey is written as an escape; for a program it is the same text.
local function harmless(text)
  return (text:gsub("\x7f", "\\u007f"):gsub("\xc2[\x80-\x9f]", escape))
end

function encode(value)
  local kind = getmetatable(value)
  if kind == Raw then
    return harmless(value.text)
  elseif kind == Object then
    return object(value)
  elseif type(value) == "table" then
    return array(value)
  elseif value == nil then
    return "null"
  end
  return harmless(codec.encode(value))
end

M.encode = encode

return M
