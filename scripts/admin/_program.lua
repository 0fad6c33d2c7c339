--- From the command line to a command and an exit status. All messages leave through here.
local color = require "_color"
local config = require "_config"
local failure = require "_failure"
local help = require "_help"
local host = require "jobq.host"
local json = require "_json"
local near = require "_near"
local options = require "_options"
local session = require "_session"
local text = require "_text"

local M = {}

local GLOBAL_OPTIONS = {
  { "--dsn DSN", "the database, as a URI or as keywords" },
  { "--embedded[=DIR]", "a private postgres, by default in .jobq/pg" },
  { "--config FILE", "settings, instead of those of jobq.conf" },
  { "--json", "for programs: results and errors as JSON" },
  { "--yes", "do it without asking", short = "y" },
  { "--no-input", "never ask: fail where a question would be" },
  { "--quiet", "no notes on stderr, only errors", short = "q" },
  { "--verbose", "all that is known of an error", short = "v" },
  { "--no-color", "no colours; NO_COLOR=1 does the same" },
  { "--version", "the version of this program, and what it is built with" },
  { "--help", "this page, of any command", short = "h" },
}


local function say(message)
  io.stderr:write("jobq: ", message, "\n")
end

local function say_nothing() end

--- The names of all commands, sorted: "jobs", "workers", "workers cleanup".
local function command_names(scripts)
  local names = {}
  for _, file in ipairs(assert(host.list(scripts))) do
    local name = file:match "^(%l[%w%-_]*)%.lua$"
    if name and name ~= "main" then
      table.insert(names, (name:gsub("_", " ")))
    end
  end
  table.sort(names)
  return names
end

local function load_command(scripts, name)
  local names = command_names(scripts)
  for _, known in ipairs(names) do
    if known == name then
      return dofile(("%s/%s.lua"):format(scripts, name:gsub(" ", "_")))
    end
  end
  failure.raise("usage", ("unknown command '%s'"):format(text.clean(name)),
    near.hint(name, names) or "jobq help lists the commands")
end

local function has_verbs(names, noun)
  for _, name in ipairs(names) do
    if name:sub(1, #noun + 1) == noun .. " " then
      return true
    end
  end
  return false
end

--- The name of the command at these words, and where its own words begin: `next` follows the noun.
-- A word after a noun that takes none is meant as its verb.
local function name_at(scripts, noun, words, next)
  local verb = words[next]
  local names = command_names(scripts)
  if not verb or verb:sub(1, 1) == "-" or not has_verbs(names, noun) then
    return noun, next
  end
  local name = noun .. " " .. verb
  for _, known in ipairs(names) do
    if known == name then
      return name, next + 1
    end
  end
  return load_command(scripts, noun).arguments and noun or name, next
end

--- Its own come first, `own` of them, if it has any.
local function all_options(command)
  local rows = {}
  for _, list in ipairs { command.options or {}, GLOBAL_OPTIONS } do
    table.move(list, 1, #list, #rows + 1, rows)
    rows.own = rows.own or #rows > 0 and #rows
  end
  return rows
end

local Context = {}
Context.__index = Context

--- What a command gets: options, arguments, db (a session), json (wanted?), say, print.
local function new_context(scripts, name, command, values, plain)
  local note = values.quiet and say_nothing or say
  local arguments = options.bind(command.arguments or {}, plain, "jobq help " .. name)
  local settings = command.offline and config.none or config.load(values, host.environment())
  return setmetatable({
    options = values,
    arguments = arguments,
    config = settings,
    db = session.new(settings, command, note),
    json = values.json,
    say = note,
    scripts = scripts,
  }, Context)
end

--- The result as JSON.
function Context.print_json(_, value)
  io.write(json.encode(value), "\n")
end

--- Several as { "items": [...], "next": "" }; next is what `--next` takes for more.
function Context:print_items(items, next_page)
  self:print_json(json.object { { "items", items }, { "next", next_page or "" } })
end

--- May a question be asked?
function Context:can_ask()
  return host.is_tty(0) and not self.options.no_input
end

--- A line for people.
function Context.print(_, ...)
  io.write(..., "\n")
end

--- Commands and their help, for the command `help`.
function Context:help_of_program()
  return help.of_program(command_names(self.scripts), function(name)
    return load_command(self.scripts, name)
  end, GLOBAL_OPTIONS)
end

--- All of them, for pages and completion: { { name =, command = }, ... }, and the options of all.
function Context:commands()
  local list = {}
  for i, name in ipairs(command_names(self.scripts)) do
    list[i] = { name = name, command = load_command(self.scripts, name) }
  end
  return list, GLOBAL_OPTIONS
end

function Context.help_of_topic(_, topic)
  return help.of_topic(topic)
end

function Context:help_of_command(name)
  return help.of_command(name, load_command(self.scripts, name), GLOBAL_OPTIONS)
end

local function run_command(scripts, name, words, at, values)
  local command = load_command(scripts, name)
  local more, plain = options.scan(all_options(command), words, at)
  for key, value in pairs(more) do
    values[key] = value
  end
  if values.help then
    io.write(help.of_command(name, command, GLOBAL_OPTIONS))
    return 0
  end
  color.setup(values.no_color)
  local context = new_context(scripts, name, command, values, plain)
  local function run()
    return command.run(context)
  end
  local done, result = xpcall(run, M.explain)
  context.db:close()
  if not done then
    error(result, 0)
  end
  return result or 0
end

-- An expected failure as it is; anything else with its traceback, which only JOBQ_DEBUG shows.
function M.explain(value)
  if failure.is(value) or type(value) == "table" and value.internal then
    return value
  end
  return { internal = tostring(value), traceback = debug.traceback(nil, 2) }
end

local function internal(value, verbose)
  value = type(value) == "table" and value or { internal = tostring(value) }
  if verbose and value.traceback then
    io.stderr:write(value.internal, "\n", value.traceback, "\n")
  end
  return {
    code = "failed", message = "internal error: " .. text.clean(value.internal),
    hint = "this is a bug in jobq; --verbose shows where",
  }
end

local function tell(value, as_json, verbose)
  if not failure.is(value) then
    value = internal(value, verbose)
  end
  local hint = value.hint ~= "" and value.hint or nil
  if as_json then
    io.stderr:write(json.encode(json.object { { "error", json.object {
      { "code", value.code }, { "message", value.message }, { "hint", hint },
    } } }), "\n")
    return failure.EXIT[value.code]
  end
  say(value.message)
  if verbose and value.detail then
    io.stderr:write("detail: ", value.detail, "\n")
  end
  if hint then
    io.stderr:write("hint: ", hint, "\n")
  end
  return failure.EXIT[value.code]
end

local function tell_version(as_json)
  if not as_json then
    io.write(host.about)
    return
  end
  io.write(json.encode(json.object {
    { "version", host.version },
    { "commit", host.commit },
    { "libraries", json.object(host.libraries) },
  }), "\n")
end

local function dispatch(words, scripts)
  local values, plain, at = options.scan(GLOBAL_OPTIONS, words, 1, true)
  if values.version then
    tell_version(values.json)
    return 0
  elseif plain[1] then
    local name, next = name_at(scripts, plain[1], words, at)
    return run_command(scripts, name, words, next, values)
  elseif values.help then
    return run_command(scripts, "help", words, at, {})
  end
  failure.raise("usage", "a command is missing", "jobq help lists the commands")
end

-- For errors of the command line itself, which is not read by then.
local function has_word(words, wanted)
  for _, word in ipairs(words) do
    if word == wanted then
      return true
    end
  end
  return false
end

---@return integer exit status
function M.main(words, scripts)
  local as_json = has_word(words, "--json")
  local verbose = has_word(words, "--verbose") or has_word(words, "-v")
  local function run()
    return dispatch(words, scripts)
  end
  local done, result = xpcall(run, M.explain)
  io.stdout:flush()
  if not done then
    return tell(result, as_json, verbose)
  end
  return result
end

return M
