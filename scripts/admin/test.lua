--- jobq test: the specs of a folder of handlers.
local failure = require "_failure"
local host = require "jobq.host"
local run = require "_run"

local INTERRUPTED = 130
local PAUSE = "0.5" -- seconds between two looks at the files

local function has_specs(dir)
  for _, name in ipairs(host.list(dir) or {}) do
    if name:find "_spec%.lua$" then
      return true
    end
  end
  return false
end

--- DIR/spec, or DIR itself.
local function find_specs(dir)
  if not host.list(dir) then
    failure.raise("not_found", ("folder '%s' does not exist"):format(dir))
  end
  for _, place in ipairs { dir .. "/spec", dir } do
    if has_specs(place) then
      return place
    end
  end
  failure.raise("not_found",
    ("no specs in '%s/spec' (0 files that end with _spec.lua)"):format(dir),
    ("jobq new handler hello --dir %s writes one"):format(dir))
end

local function not_installed()
  failure.raise("failed", "busted for Lua 5.4 is not installed",
    "as root: apt-get install lua5.4 lua-busted")
end

local function find_busted()
  local path = run.capture({ "sh", "-c", "command -v busted" }, ""):gsub("\n$", "")
  return path ~= "" and path or not_installed()
end

local function busted(context, specs)
  local options = context.options
  local words = { "env", "LUA_CPATH=" .. run.module_path() }
  if options.db then
    table.insert(words, "JOBQ_SPEC_DSN=" .. options.db)
  end
  if options.crash_everywhere then
    table.insert(words, "JOBQ_CRASH_EVERYWHERE=1")
  end
  -- The program busted may start another Lua, one that cannot load our module.
  table.move({ "lua5.4", "-l", "jobq.core", find_busted(), "--pattern=_spec%.lua$" }, 1, 5,
    #words + 1, words)
  for _, name in ipairs { "filter", "output" } do
    if options[name] then
      table.insert(words, ("--%s=%s"):format(name, options[name]))
    end
  end
  table.insert(words, specs)
  return run.run(words)
end

--- Asked when specs have failed: that may be why.
local function check_installed()
  local words = { "lua5.4", "-e", "os.exit(pcall(require, 'busted.runner'))" }
  if run.run(words) ~= 0 then
    not_installed()
  end
end

--- Runs them again whenever a Lua file below the folder has changed, until Ctrl-C.
local function watch(context, dir, specs)
  local stamp = os.tmpname()
  local status
  repeat
    run.run { "touch", stamp }
    if busted(context, specs) ~= 0 then
      check_installed()
    end
    context.say "waiting for a change, Ctrl-C ends this"
    local changed
    repeat
      status = run.run { "sleep", PAUSE }
      changed = run.capture({ "find", dir, "-name", "*.lua", "-newer", stamp, "-print" }, "") ~= ""
    until changed or status ~= 0
  until status ~= 0
  os.remove(stamp)
  return status
end

return {
  summary = "run the specs of handlers",
  group = "Handlers",
  arguments = { { "[DIR]", "the folder of handlers, with a folder spec; default handlers" } },
  options = {
    { "--filter PATTERN", "only specs whose names match this Lua pattern" },
    { "--output FORMAT", "of busted: utfTerminal, plainTerminal, TAP, gtest, junit, json" },
    { "--crash-everywhere", "kill each run before and after each of its waits, too, and run its "
      .. "job again: nothing may be done twice" },
    { "--watch", "again whenever a file changes" },
    { "--db DSN", "a server for t.database(), with a role that may make databases; default a "
      .. "private one in .jobq/spec-pg" },
  },
  examples = {
    { "test" },
    { "test --filter email --watch" },
    { "test --crash-everywhere" },
    { "test --output junit handlers/ > report.xml" },
  },
  text = [[
Specs are files handlers/spec/NAME_spec.lua for busted; require "jobq.testing" runs
handlers in them. Exit status 6 if one fails.

With --crash-everywhere a run of a spec is done as usual, and then from the same start once
for each wait of the handler, killed there as by SIGKILL; the job's next attempt follows. Both
together must have done what the usual run did: mails, requests that change something,
programs, jobs, events, rows of t.database(), files in t.folder().
]],

  run = function(context)
    local dir = (context.arguments.dir or "handlers"):gsub("(.)/+$", "%1")
    local specs = find_specs(dir)
    if context.options.watch then
      return watch(context, dir, specs) == 0 and 0 or INTERRUPTED
    end
    if busted(context, specs) ~= 0 then
      check_installed()
      failure.raise("problems", ("specs in '%s' failed"):format(specs))
    end
  end,
}
