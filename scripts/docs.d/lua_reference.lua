--- The page of the Lua API, from bindings/meta.
local meta = require "meta"

local MODULES = {
  "jobq", "config", "sql", "http", "smtp", "process", "socket", "fs", "crypto", "compress", "json",
  "testing",
}

local HEAD = [[
# Lua API

Made by `scripts/docs` from `bindings/meta`, which is also what editors read. A handler begins with
`local jobq = require "jobq"`.

Functions that **wait** suspend the job that calls them, not the process, and can only be called
inside `run`. What can fail in operation answers `nil, message, code`; a mistake raises.
]]

local function add_text(out, lines)
  for _, line in ipairs(lines) do
    table.insert(out, line:find "^%s%s" and "   " .. line or line) -- indented: code
  end
  if #lines > 0 then
    table.insert(out, "")
  end
end

local function add_items(out, title, items)
  if #items == 0 then
    return
  end
  if title then
    table.insert(out, title .. "\n")
  end
  for _, item in ipairs(items) do
    local name = item.name and ("`%s%s` "):format(item.name, item.optional and "?" or "") or ""
    local text = item.text ~= "" and ": " .. item.text or ""
    table.insert(out, ("- %s`%s`%s"):format(name, item.type, text))
  end
  table.insert(out, "")
end

local function full_name(module, name)
  return module == "jobq" and name or "jobq." .. name
end

local function add_function(out, module, entry)
  table.insert(out, ("### %s(%s)%s\n"):format(
    full_name(module, entry.name):gsub("_", "\\_"), entry.signature,
    entry.waits and " · waits" or ""))
  add_text(out, entry.text)
  add_items(out, nil, entry.params)
  add_items(out, "Answers", entry.returns)
end

local function add_type(out, entry)
  table.insert(out, ("### %s\n"):format(entry.name))
  add_text(out, entry.text)
  if entry.type then
    table.insert(out, ("`%s`\n"):format(entry.type))
  elseif entry.parent then
    table.insert(out, ("All of %s, and:\n"):format(entry.parent))
  end
  add_items(out, nil, entry.fields)
end

local function is_module(module, entry)
  return entry.name == full_name(module, module)
end

local function add_module(out, dir, module)
  local entries = meta.read(("%s/%s.lua"):format(dir, module))
  table.insert(out, ("\n## %s\n"):format(full_name(module, module)))
  for _, entry in ipairs(entries) do
    if is_module(module, entry) then
      add_text(out, entry.text)
    end
  end
  for _, entry in ipairs(entries) do
    if entry.form == "function" then
      add_function(out, module, entry)
    elseif not is_module(module, entry) then
      add_type(out, entry)
    end
  end
end

--- The text of the page.
return function(dir)
  local out = { HEAD }
  for _, module in ipairs(MODULES) do
    add_module(out, dir, module)
  end
  return (table.concat(out, "\n"):gsub("%s+$", "") .. "\n")
end
