--- Settings of handlers: --set NAME=VALUE and the config file, else the environment, else what the
--- config.lua of their folder has for it.
---
---   jobq.config "smtp.host"      any setting; text, unless it is declared
---   jobq.config.crm.pages        what config.lua declares, of its type
local core = require "jobq.core"
local declarations = require "jobq.declarations"
local json = require "jobq.json"
local nearest = require "jobq.nearest"
local sorted_keys = require "jobq.sorted_keys"
local strict = require "jobq.strict"

local M = {}

--- What jobq itself goes by. Others may be added to these groups without being declared.
local OWN_GROUPS = { database = true, handlers = true, http = true, smtp = true, sql = true }

local DECLARED = "config.lua in the folder of the handlers says which there are"

local values = {} -- texts by name, of --set and the config file
local declared = {} -- by name
local typed = {} -- the values of those
local groups = {} -- name -> name -> true
local opened = {} -- own secrets by name: what is set for them, and what that gave

--- Secrets whether somebody declares them or not.
local function is_own_secret(name)
  return name == "smtp.password" or name:find("^database%.[^.]+$") ~= nil
end

--- A dsn may be in an error, its password may not.
local function hide_password(name, dsn)
  local password = dsn:match("^%w+://[^:@/]*:([^@/]+)@") or dsn:match("password%s*=%s*'(.-)'")
    or dsn:match("password%s*=%s*([^'%s&]+)")
  if password then
    core.secret.new(name, password)
  end
end

--- How to reach the queue's database; nil where there is no queue.
M.queue_dsn = nil

--- Takes NAME=VALUE lines; a later one counts.
---@param text string
---@param queue_dsn string?
function M.load(text, queue_dsn)
  M.queue_dsn = queue_dsn
  hide_password("dsn", queue_dsn or "")
  for name, value in text:gmatch("([^=\n]+)=([^\n]*)") do
    values[name] = value
  end
end

---- texts ----

local function variable(name)
  return "JOBQ_" .. name:upper():gsub("[^%w]", "_")
end

local function given_text(name)
  return values[name] or os.getenv(variable(name))
end

--- The same of a secret, from where it is; a file is read once, not with every statement.
local function given_secret(name)
  local text, known = given_text(name), opened[name]
  if text == nil or known and known.text == text then
    return text and known.secret
  end
  local content, why = declarations.secret_text(text)
  if content == nil then
    error(("setting %s: %s"):format(name, why), 0)
  end
  hide_password(name, content)
  opened[name] = { text = text, secret = core.secret.new(name, content) }
  return opened[name].secret
end

local function how_to_set(name)
  return ("\nhint: pass --set %s=VALUE, or set %s"):format(name, variable(name))
end

local function fail_absent(name, level)
  local hint = nearest.hint(name, declared)
  hint = hint ~= "" and hint or nearest.hint(name, values)
  hint = hint ~= "" and hint or how_to_set(name)
  error(("setting '%s' is not there%s"):format(name, hint), level + 1)
end

--- For jobq itself: the setting as text; without a default it must be there.
---@param name string
---@param ... any default
---@return any
function M.text(name, ...)
  local text
  if typed[name] ~= nil and type(typed[name]) ~= "table" then
    text = tostring(core.secret.open(typed[name])) -- what was "yes" is "true" now
  elseif is_own_secret(name) then
    text = core.secret.open(given_secret(name))
  else
    text = given_text(name)
  end
  if text == nil and select("#", ...) == 0 then
    fail_absent(name, 2)
  end
  return text == nil and (...) or text
end

---- for handlers ----

--- What a handler changes in a table is its own.
local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local copied = {}
  for key, item in pairs(value) do
    copied[key] = copy(item)
  end
  return getmetatable(value) == "jobq.array" and json.array(copied) or copied
end

local function get(level, name, ...)
  if type(name) ~= "string" then
    error(("jobq.config: expected the name of a setting, got %s"):format(type(name)), level + 1)
  end
  local value = typed[name]
  if value == nil and not declared[name] then
    value = (is_own_secret(name) and given_secret or given_text)(name)
  end
  if value == nil and select("#", ...) == 0 then
    fail_absent(name, level + 1)
  end
  return value == nil and (...) or copy(value)
end

--- jobq.config(name [, default]): the setting; without a default it must be there.
---@param name string
---@param ... any default
---@return any
function M.get(name, ...)
  local value = get(2, name, ...)
  return value
end

--- Is there one? For what a handler says that it needs.
function M.has(name)
  return typed[name] ~= nil or given_text(name) ~= nil
end

--- How people set it; a line of its own.
M.how_to_set = how_to_set

--- A table that has these names and no others, in the way of jobq.strict; nobody writes to it.
local function closed(path, names, read, call)
  return setmetatable({}, {
    otherwise = DECLARED,
    knows = function(key) return names[key] ~= nil end,
    __call = call,
    __index = function(_, key)
      if names[key] == nil then
        error(strict.unknown(path, key, names, DECLARED), 2)
      end
      return read(key)
    end,
    __newindex = strict.refuse(path),
    __pairs = function()
      local keys, i = sorted_keys(names), 0
      return function()
        i = i + 1
        return keys[i], keys[i] and read(keys[i])
      end
    end,
  })
end

local function group(name)
  return closed("jobq.config." .. name, groups[name], function(key)
    return copy(typed[name .. "." .. key])
  end)
end

--- jobq.config
M.config = closed("jobq.config", groups, group, function(_, name, ...)
  local value = get(2, name, ...)
  return value
end)

---- what config.lua declares ----

local function value_of(setting)
  local name = setting.name
  local text = given_text(name)
  if text == nil or not setting.spec.secret and not is_own_secret(name) then
    return declarations.value(setting, text)
  end
  local content, why = declarations.secret_text(text)
  if content == nil then
    return nil, ("%s: %s"):format(name, why)
  end
  local _, problem = declarations.value(setting, content)
  hide_password(name, content)
  return core.secret.new(name, content), problem
end

local function add(setting, problems)
  local name = setting.name
  if declared[name] then
    error(("%s: setting '%s' is already declared at %s"):format(
      setting.source, name, declared[name].source), 0)
  end
  local value, problem = value_of(setting)
  declared[name], typed[name] = setting, value
  if problem then
    problems.source = problems.source or setting.source
    problems.hint = problems.hint or given_text(name) == nil and how_to_set(name) or nil
    problems[#problems + 1] = problem
  end
  local group_name, key = name:match("^([^.]*)%.(.*)$")
  groups[group_name] = groups[group_name] or {}
  groups[group_name][key] = true
end

--- Somebody has set what is not there: mostly a mistyped name.
local function check_unknown(sources)
  for _, name in ipairs(sorted_keys(values)) do
    local group_name = name:match("^[^.]*")
    if groups[group_name] and not declared[name] and not OWN_GROUPS[group_name] then
      error(("setting '%s' is not in %s%s"):format(
        name, table.concat(sources, ", "), nearest.hint(name, declared)), 0)
    end
  end
end

local function forget()
  for _, known in ipairs { declared, typed, groups } do
    for name in pairs(known) do
      known[name] = nil
    end
  end
end

--- Takes what the files declare, instead of what was before. Raises a text with all that is missing
--- or of a wrong type.
---@param list table[] as jobq.declarations gives them
---@param sources string[] the files
function M.declare(list, sources)
  local problems = {}
  forget()
  for _, setting in ipairs(list) do
    add(setting, problems)
  end
  check_unknown(sources)
  if problems[1] then
    error(("%s: setting %s%s"):format(
      problems.source, table.concat(problems, "; "), problems.hint or ""), 0)
  end
end

return M
