--- A fresh state for handlers in a plain Lua: modules of its own, the globals that an executor has,
--- and under the Lua half of the API a core whose primitives are fakes.
local M = {}

local STANDARD = {
  "_G", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8",
}

local GLOBALS = [[
  _VERSION collectgarbage error getmetatable ipairs math next pairs pcall print rawequal rawget
  rawlen rawset require select setmetatable string table tonumber tostring type utf8 warn xpcall
]]

local set_upvalue = debug.setupvalue

--- As in Lua: busted has another one.
local function plain_assert(...)
  local value, message = ...
  if value then
    return ...
  end
  error(select("#", ...) < 2 and "assertion failed!" or message, 0)
end

local function without(library, ...)
  local copy = {}
  for name, value in pairs(library) do
    copy[name] = value
  end
  for _, name in ipairs { ... } do
    copy[name] = nil
  end
  return copy
end

--- os with a clock that is ahead by what the run has slept.
local function virtual_os(clock)
  local copy = without(os, "execute", "exit", "setlocale")
  copy.time = function(t)
    return t and os.time(t) or (clock.now or os.time()) + math.floor(clock.slept)
  end
  copy.date = function(format, time)
    return os.date(format, time or copy.time())
  end
  copy.clock = function()
    return os.clock() + clock.slept
  end
  return copy
end

--- What handlers see as globals; see bindings/sandbox.c.
local function new_environment(clock)
  local env = {}
  for name in GLOBALS:gmatch "%S+" do
    env[name] = _G[name]
  end
  env._G, env.assert = env, plain_assert
  env.coroutine = without(coroutine)
  env.io = without(io, "popen")
  env.os = virtual_os(clock)
  env.package = package
  env.load = function(chunk, name, _, ...)
    return load(chunk, name, "t", select("#", ...) > 0 and (...) or env)
  end
  return setmetatable(env, {
    __metatable = false,
    __newindex = function(_, name)
      error(("assignment to global '%s'\nhint: write local %s"):format(name, name), 2)
    end,
  })
end

local function replace(loaded)
  local before = {}
  for name, module in pairs(package.loaded) do
    before[name] = module
    package.loaded[name] = nil
  end
  for name, module in pairs(loaded) do
    package.loaded[name] = module
  end
  return before
end

--- core: a table like jobq.core; its source.load is replaced. clock.slept: seconds.
function M.new(core, clock)
  local env, load_source = new_environment(clock), core.source.load
  core.source.load = function(path)
    local chunk, message = load_source(path)
    if chunk then
      set_upvalue(chunk, 1, env)
    end
    return chunk, message
  end
  local state = {
    loaded = { ["jobq.core"] = core }, path = package.path, searcher = package.searchers[2],
  }
  for _, name in ipairs(STANDARD) do
    state.loaded[name] = package.loaded[name]
  end
  return state
end

--- Calls f with the modules of the state in place. Gives what pcall gives.
function M.within(state, f)
  local before = replace(state.loaded)
  local path, searcher = package.path, package.searchers[2]
  package.path, package.searchers[2] = state.path, state.searcher
  local results = table.pack(pcall(f))
  state.path, state.searcher = package.path, package.searchers[2]
  package.path, package.searchers[2] = path, searcher
  state.loaded = replace(before)
  return table.unpack(results, 1, results.n)
end

return M
