--- Reads a file of LuaCATS definitions: what editors know, for pages.
--
--     meta.read(path) -> { entry, ... } in the order of the file
--       entry = { form = "class"|"alias"|"function", name, text = { lines }, waits, params,
--                 returns, fields, signature, parent }
--       params, returns, fields = { { name, type, text, optional }, ... }
local M = {}

local CLOSING = { ["("] = ")", ["{"] = "}", ["<"] = ">", ["["] = "]" }

--- Where the type that begins there ends: at a space outside of brackets and quotes, unless a ":"
--- or "," stands before it.
local function end_of_type(line, at)
  local depth = 0
  while at <= #line do
    local c = line:sub(at, at)
    if c == '"' then
      at = line:find('"', at + 1, true) or #line
    elseif CLOSING[c] then
      depth = depth + 1
    elseif c:find "[%)%]}>]" then
      depth = depth - 1
    elseif c == " " and depth == 0 and not line:sub(at - 1, at - 1):find "[:,]" then
      return at - 1
    end
    at = at + 1
  end
  return #line
end

local function parse_typed(rest)
  local stop = end_of_type(rest, 1)
  return rest:sub(1, stop), (rest:sub(stop + 1):gsub("^%s+", ""))
end

local function named(rest)
  local name, optional, after = rest:match "^(%b[])(%??)%s+(.*)$"
  if not name then
    name, optional, after = rest:match "^([%w_.]+)(%??)%s+(.*)$"
  end
  local type_name, text = parse_typed(after)
  return { name = name, optional = optional == "?", type = type_name, text = text }
end

local function returned(rest)
  local type_name, text = parse_typed(rest)
  local name, after = text:match "^([%l_]+)%f[^%w_](.*)$"
  if text:find "^#" then
    name, after = nil, text:sub(2)
  end
  return { name = name, type = type_name, text = (after or text):gsub("^%s+", "") }
end

local TAGS = {}

function TAGS.class(entry, rest)
  entry.form = "class"
  entry.name, entry.parent = rest:match "^([%w_.]+):%s*([%w_.]+)"
  entry.name = entry.name or rest:match "^[%w_.]+"
  local about = not entry.parent and rest:match "^[%w_.]+%s+(.+)$"
  table.insert(entry.text, about or nil)
end

function TAGS.alias(entry, rest)
  entry.form = "alias"
  local item = named(rest)
  entry.name, entry.type = item.name, item.type
  if item.text ~= "" then
    table.insert(entry.text, item.text)
  end
end

function TAGS.async(entry)
  entry.waits = true
end

local function collect(list, parse)
  return function(entry, rest)
    local item = parse(rest)
    table.insert(entry[list], item)
    return item
  end
end

TAGS.field = collect("fields", named)
TAGS.param = collect("params", named)
TAGS["return"] = collect("returns", returned)

local function new_entry()
  return { text = {}, fields = {}, params = {}, returns = {} }
end

--- Takes one comment line; `last` is the tag that an indented line goes on with.
local function take(entry, line, last)
  local tag, rest = line:match "^%-%-%-@(%l+)%s*(.*)$"
  if tag then
    local read = TAGS[tag]
    return read and read(entry, rest)
  end
  local text = line:match "^%-%-%- ?(.*)$"
  if last and text:find "^%s" then
    last.text = last.text .. " " .. text:gsub("^%s+", "")
    return last
  end
  table.insert(entry.text, text)
end

function M.read(path)
  local entries, entry, last = {}, new_entry(), nil
  for line in io.lines(path) do
    local name, params = line:match "^function ([%w_.]+)%((.*)%) end$"
    if line:find "^%-%-%-" and not line:find "^%-%-%-@meta" then
      last = take(entry, line, last)
    else
      if name then
        entry.form, entry.name, entry.signature = "function", name, params
      end
      if entry.form then
        table.insert(entries, entry)
      end
      entry, last = new_entry(), nil
    end
  end
  return entries
end

return M
