--- Mistyped names that would else show only when a job comes along: in functions that have not run
--- yet, unknown names of the API and assignments to globals; in tables, keys that are given twice.
local bytecode = require "jobq.bytecode"
local nearest = require "jobq.nearest"
local strict = require "jobq.strict"

local M = {}

local op, decode = bytecode.op, bytecode.decode

local function problem(lines, pc, text, ...)
  return { line = lines[pc], message = text:format(...) }
end

---- names of the API ----

--- `local jobq = require "jobq"` and `local smtp = jobq.smtp`: from the name to what it stands for.
local function find_modules(text)
  local modules = {}
  for line in text:gmatch("[^\n]+") do
    local code = line:gsub("%-%-.*", ""):gsub("[%s;]+$", "")
    local name, path = code:match("^%s*local%s+([%a_][%w_]*)%s*=%s*(.-)$")
    if name and path:find("^require%s*%(?%s*[\"']jobq[\"']%s*%)?$") then
      modules[name] = { "jobq" }
    elseif name and path:find("^[%a_][%w_]*%.[%a_][%w_]*$") then
      local base, field = path:match("^(.-)%.(.*)$")
      modules[name] = modules[base] and #modules[base] == 1 and { "jobq", field } or nil
    end
  end
  return modules
end

--- Adds how many locals of a function have each name; one that is assigned again counts twice.
local function count_locals(f, count)
  for i = 0, #f.locals do
    local name = f.locals[i] and f.locals[i].name or ""
    count[name] = (count[name] or 0) + 1
  end
  for pc = 0, #f.code do
    local code, _, b = decode(f.code[pc])
    if code == op.setupval then
      count[f.upvalues[b] or ""] = 2
    end
  end
end

--- Names that stand for something else, too, are not judged.
local function forget_ambiguous(modules, functions)
  local count = {}
  for _, f in ipairs(functions) do
    count_locals(f, count)
  end
  for name in pairs(modules) do
    modules[name] = count[name] == 1 and modules[name] or nil
  end
end

local function unknown_field(module, path, field)
  local knows, otherwise = strict.knows(module)
  if not knows or knows(field) then
    return nil
  end
  return strict.unknown(path, field, module, otherwise)
end

--- The module that an upvalue is, and how it is called; or nil.
local function module_of(f, upvalue, modules, api)
  local path = modules[f.upvalues[upvalue] or ""]
  if not path then
    return nil
  end
  return path[2] and rawget(api, path[2]) or not path[2] and api, table.concat(path, ".")
end

--- jobq.a at pc, and .b and .c if they follow at once.
local function check_field(f, pc, modules, api)
  local _, a, b, c = decode(f.code[pc])
  local module, path = module_of(f, b, modules, api)
  local field = f.constants[c]
  while field and strict.knows(module) do
    local text = unknown_field(module, path, field)
    if text then
      return problem(f.lines, pc, "%s", text)
    end
    pc = pc + 1
    module, path = module[field], path .. "." .. field
    local code, to, base, key = decode(f.code[pc] or 0)
    field = code == op.getfield and base == a and f.constants[key]
    a = to
  end
end

---- globals, and what is assigned ----

local function is_global(f, upvalue)
  return f.upvalues[upvalue] == "_ENV"
end

local function check_assignment(f, pc, modules)
  local _, a, b = decode(f.code[pc])
  local name, path = f.constants[b], modules[f.upvalues[a] or ""]
  if is_global(f, a) and name then
    return problem(f.lines, pc, "assignment to global '%s'\nhint: write local %s", name, name)
  elseif path and name then
    path = table.concat(path, ".")
    return problem(f.lines, pc, "%s is read-only: '%s' cannot be set", path, name)
  end
end

local function check_read(f, pc, globals)
  local _, _, b, c = decode(f.code[pc])
  local name = f.constants[c]
  if globals and is_global(f, b) and name and rawget(globals, name) == nil then
    return problem(f.lines, pc, "unknown global '%s'%s", name, nearest.hint(name, globals))
  end
end

---- keys ----

--- A table that is being written down, `{ a = 1 }`, is in a register that is no local yet.
local function active_locals(f, pc)
  local count = 0
  for i = 0, #f.locals do
    local l = f.locals[i]
    count = count + (l and l.first <= pc and pc <= l.last and 1 or 0)
  end
  return count
end

local function check_keys(f)
  local keys = {} -- by register
  for pc = 0, #f.code do
    local code, a, b = decode(f.code[pc])
    local key = f.constants[b]
    if code == op.newtable then
      keys[a] = {}
    elseif code == op.setfield and key and a >= active_locals(f, pc) then
      local before = keys[a] and keys[a][key]
      if before then
        return problem(f.lines, pc, "'%s' is given twice, first at line %d", key, before)
      end
      keys[a] = keys[a] or {}
      keys[a][key] = f.lines[pc]
    end
  end
end

---- all of it ----

local function first_of(...)
  local first
  for i = 1, select("#", ...) do
    local found = select(i, ...)
    first = found and (not first or found.line < first.line) and found or first
  end
  return first
end

local function check_function(f, modules, api, globals)
  local first = check_keys(f)
  for pc = 0, #f.code do
    local code = decode(f.code[pc])
    if code == op.gettabup then
      first = first_of(first, check_field(f, pc, modules, api), check_read(f, pc, globals))
    elseif code == op.settabup then
      first = first_of(first, check_assignment(f, pc, modules))
    end
  end
  return first
end

--- The first mistake in the functions of a chunk, as its line and a message without position.
---@param chunk function
---@param text string its source
---@param api table what require "jobq" gives
---@param globals? table names that may be read; nil: any
---@return integer? line nil when nothing is wrong
---@return string? message
function M.check(chunk, text, api, globals)
  local functions = bytecode.functions(chunk)
  if not functions or text:find("local%s+_ENV%f[^%w_]") then
    return nil
  end
  local modules = find_modules(text)
  forget_ambiguous(modules, functions)
  local first
  for _, f in ipairs(functions) do
    first = first_of(first, check_function(f, modules, api, globals))
  end
  return first and first.line, first and first.message
end

return M
