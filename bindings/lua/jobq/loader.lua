--- Handler files to kinds. The first thing that is wrong ends it, as one text for people.
---
---   handlers/email.lua     returns { send = {...}, digest = {...} }: email.send, email.digest
---   handlers/cleanup.lua   returns { run = ... }: cleanup
---   handlers/_mime.lua, handlers/lib/mail.lua: modules for require, no kinds
local core = require "jobq.core"
local declarations = require "jobq.declarations"
local handler = require "jobq.handler"
local lines = require "jobq.lines"
local names = require "jobq.names"
local nearest = require "jobq.nearest"
local settings = require "jobq.settings"
local sorted_keys = require "jobq.sorted_keys"

local M = {}

local MISSING_COMMA = "^(.-):(%d+): '}' expected.* near "

local function fail(...)
  error({ message = string.format(...) }, 0)
end

local function read(path)
  local file = io.open(path, "r")
  local text = file and file:read("a") or ""
  if file then
    file:close()
  end
  return text
end

local function lines_of(path)
  return lines.split(read(path))
end

--- A table left open mostly means that the line before lacks a comma.
local function add_comma_hint(message)
  local path, line = message:match(MISSING_COMMA)
  local written = path and lines_of(path) or {}
  local before = (tonumber(line) or 1) - 1
  while before > 0 and not written[before]:find("%S") do
    before = before - 1
  end
  if path and before > 0 and not written[before]:find("[,;{]%s*$") then
    return ("%s\nhint: is a comma missing at the end of line %d?"):format(message, before)
  end
  return message
end

local function load_chunk(path)
  local chunk, message = core.source.load(path)
  if not chunk then
    fail("%s", add_comma_hint(message))
  end
  return chunk
end

--- Larger files hold data; to look at them takes long.
local LARGEST_CHECKED = 1 << 20

--- For what is in the folders of handlers: names are checked before anything runs.
local function load_checked(path)
  local chunk, text = load_chunk(path), read(path)
  if #text <= LARGEST_CHECKED then
    local is_strict = settings.text("handlers.strict", "false") == "true"
    local line, message = names.check(chunk, text, require "jobq", is_strict and _G or nil)
    if line then
      fail("%s:%d: %s", path, line, message)
    end
  end
  return chunk
end

--- Like the standard searcher for Lua files, but texts only.
local function module_searcher(folders)
  return function(name)
    local path, message = package.searchpath(name, package.path)
    if not path then
      return message
    end
    for _, folder in ipairs(folders) do
      if path:sub(1, #folder + 1) == folder .. "/" then
        return load_checked(path), path
      end
    end
    return load_chunk(path), path
  end
end

local function look_first_in(folders, folder)
  local path = folder .. "/?.lua;" .. folder .. "/?/init.lua;"
  if package.path:sub(1, #path) ~= path then
    package.path = path .. package.path
  end
  folders[#folders + 1] = folder
end

local function execute(path)
  local ok, family = xpcall(load_checked(path), core.task.explain)
  if not ok then
    fail("%s", add_comma_hint(family))
  end
  if type(family) ~= "table" then
    fail(
      "%s: expected the file to return a table of handlers, got %s\n"
        .. "hint: names that begin with _ and files in sub-folders are modules, not handlers",
      path, type(family))
  end
  return family
end

--- What a handler says that it needs is missed now, not by a job at night.
local function check_needs(path, written, kind, given, first_line)
  for _, name in ipairs(given.config or {}) do
    if not settings.has(name) then
      fail("%s:%d: %s needs the setting '%s'%s", path,
        lines.key(written, "config", first_line) or first_line, kind, name,
        settings.how_to_set(name))
    end
  end
end

local function check_limits(kinds, path, written, complete, first_line)
  for _, limit in ipairs(complete.own_limits or {}) do
    for _, other in pairs(kinds) do
      for _, known in ipairs(other.own_limits or {}) do
        if known.name == limit.name then
          fail("%s:%d: limit '%s' is already defined at %s", path,
            lines.key(written, "limits", first_line) or first_line, limit.name, other.source)
        end
      end
    end
  end
end

local function define(kinds, path, written, kind, given, first_line)
  local complete, problem, name = handler.complete(kind, given)
  if not complete then
    fail("%s:%d: %s", path, lines.key(written, name, first_line) or first_line, problem)
  end
  complete.source = ("%s:%d"):format(path, first_line)
  local other = kinds[kind]
  if other then
    fail("%s: kind '%s' is already defined at %s", complete.source, kind, other.source)
  end
  check_needs(path, written, kind, given, first_line)
  check_limits(kinds, path, written, complete, first_line)
  kinds[kind] = complete
end

local function define_member(kinds, path, written, stem, name, given)
  local line = lines.key(written, name, 1) or 1
  if type(name) ~= "string" or type(given) ~= "table" then
    fail(
      "%s:%d: '%s' is not a handler: expected a table with a run function, got %s",
      path, line, tostring(name), type(given))
  end
  define(kinds, path, written, stem .. "." .. name, given, line)
end

local function load_file(kinds, path)
  local stem = path:match("([^/]*)%.lua$")
  if not stem then
    fail("file '%s' is not a .lua file", path)
  end
  local family = execute(path)
  local written = lines_of(path)
  if type(family.run) == "function" then
    define(kinds, path, written, stem, family, core.source.line(family.run))
    return
  end
  if next(family) == nil then
    fail("%s: the file defines no kind\nhint: return { name = { run = function(job) ... } }", path)
  end
  for _, name in ipairs(sorted_keys(family)) do
    define_member(kinds, path, written, stem, name, family[name])
  end
end

local function handler_files(folder)
  local entries, why = core.source.list(folder)
  if not entries then
    fail("folder '%s' cannot be read: %s", folder, why)
  end
  local files = {}
  for _, entry in ipairs(entries) do
    local is_handler = not entry.is_folder and entry.name:find("^[^_.].*%.lua$")
    if is_handler and entry.name ~= declarations.FILE then
      files[#files + 1] = entry.name
    end
  end
  return files
end

local function load_folder(kinds, given, folder)
  local files = handler_files(folder)
  if #files == 0 then
    fail(
      "no handlers in '%s' (0 .lua files)\n"
        .. "hint: jobq new handler hello --dir %s",
      given, given)
  end
  for _, name in ipairs(files) do
    load_file(kinds, folder .. "/" .. name)
  end
end

local function names_in(folder)
  local found = {}
  for _, entry in ipairs(core.source.list(folder) or {}) do
    found[#found + 1] = entry.name
  end
  return found
end

local function fail_missing(given, path)
  local parent, name, slash = path:match("^(.-)([^/]*)$"), path:match("[^/]*$"), given:match("/?$")
  local found = nearest.find(name, names_in(parent == "" and "." or parent))
  local hint = found and ("\nhint: did you mean '%s%s%s'?"):format(parent, found, slash) or ""
  fail("%s '%s' does not exist%s", path:find("%.lua$") and "file" or "folder", given, hint)
end

--- The path of an argument, the folder that it is or is in, and which of both.
local function resolve(given)
  local path = given:gsub("(.)/+$", "%1")
  local type_of_path = core.source.type(path)
  if type_of_path == "folder" then
    return path, path, true
  elseif type_of_path == "file" then
    return path, path:match("^(.*)/[^/]*$") or ".", false
  end
  fail_missing(given, path)
end

local function load_argument(kinds, folders, given)
  local path, folder, is_folder = resolve(given)
  look_first_in(folders, folder)
  if is_folder then
    load_folder(kinds, given, path)
  else
    load_file(kinds, path)
  end
end

--- The config.lua of each folder, before any handler runs.
local function declare_settings(arguments)
  local list, sources, seen = {}, {}, {}
  for given in arguments:gmatch("[^\n]+") do
    local _, folder = resolve(given)
    local path = folder .. "/" .. declarations.FILE
    if not seen[path] and core.source.type(path) == "file" then
      seen[path] = true
      sources[#sources + 1] = path
      for _, setting in ipairs(declarations.read(path, read(path))) do
        list[#list + 1] = setting
      end
    end
  end
  settings.declare(list, sources)
end

--- Loads folders and files, each followed by a newline.
---@param arguments string
---@return table? kinds sorted by name; nil and a message when something is wrong
---@return string? message
function M.load(arguments)
  local kinds, folders = {}, {}
  package.searchers[2] = module_searcher(folders)
  local ok, problem = pcall(declare_settings, arguments)
  if not ok then
    return nil, add_comma_hint(core.task.explain(problem))
  end
  for given in arguments:gmatch("[^\n]+") do
    ok, problem = pcall(load_argument, kinds, folders, given)
    if not ok then
      return nil, core.task.explain(problem)
    end
  end
  local sorted = {}
  for _, kind in ipairs(sorted_keys(kinds)) do
    sorted[#sorted + 1] = kinds[kind]
  end
  return sorted
end

return M
