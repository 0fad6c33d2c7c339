--- A child process in a spec: its lines, signals to it, its end. None outlives its spec.
--
--     local process = require "support.process"
--     local p = process.start { "build/jobq-run", "handlers/", env = { JOBQ_DSN = db.dsn } }
--     p:wait_for_line(function(line) return line:find "ready" end, "the word 'ready'")
--     p:signal "sigterm"
--     assert.equal(0, p:wait())              -- the exit status; 128 + n after signal n
--     p:output() p:errors()                  -- all of stdout, of stderr
--
-- Every process is the leader of its own group. What a spec has left running is killed, the whole
-- group, before the next one starts a process and at the end of its file (with of_file = true only
-- then: a server that all its specs talk to); and all end with busted, even if that is killed. If a
-- spec failed, the last words of its processes are printed.
local uv = require "luv"
local files = require "support.files"

local M = {}

M.SECONDS = tonumber(os.getenv "JOBQ_SPEC_SECONDS") or 30 -- how long anything may take
local TOLD_LINES = 40

local alive = {} -- in order of their start
local ended = {} -- of this spec

local Process = {}
Process.__index = Process
M.Process = Process

local function environment(changes)
  changes = changes or {}
  local list = {}
  changes.XDG_CONFIG_HOME = changes.XDG_CONFIG_HOME or "/nonexistent" -- nobody's own settings
  for name, value in pairs(uv.os_environ()) do
    local is_ours = name:find "^JOBQ_" or name:find "^PG" or name == "DATABASE_URL"
    if not is_ours and changes[name] == nil then
      table.insert(list, name .. "=" .. value)
    end
  end
  for name, value in pairs(changes) do
    table.insert(list, name .. "=" .. value)
  end
  return list
end

-- Lines arrive in `lines`; the last one stays open until its end comes.
local function collect(self, pipe, name)
  local rest = ""
  self[name] = {}
  self.open = self.open + 1
  pipe:read_start(function(_, data)
    if data then
      rest = rest .. data
      local start, stop = 1, rest:find("\n", 1, true) -- patterns are quadratic on long lines
      while stop do
        table.insert(self[name], rest:sub(start, stop - 1))
        start, stop = stop + 1, rest:find("\n", stop + 1, true)
      end
      rest = rest:sub(start)
      return
    end
    if rest ~= "" then
      table.insert(self[name], rest)
    end
    pipe:close()
    self.open = self.open - 1
  end)
end

local function feed(pipe, text)
  if text then
    pipe:write(text)
  end
  pipe:shutdown(function() pipe:close() end)
end

--- words[1] is the program; env changes the environment, which else holds none of our variables;
--- stdin is text; cwd a folder; of_file: it outlives its spec.
function M.start(words)
  M.sweep()
  local self = setmetatable({ words = words, open = 0, cursor = 0 }, Process)
  local input, output, errors = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
  local args = table.move(words, 1, #words, 2, { "--pdeathsig=KILL" })
  local handle, pid = uv.spawn("setpriv", {
    args = args, env = environment(words.env), cwd = words.cwd,
    stdio = { input, output, errors }, detached = true,
  }, function(code, signal)
    self.status = signal ~= 0 and 128 + signal or code
    self.handle:close()
  end)
  if not handle then
    error(("cannot start %s: %s"):format(words[1], pid), 2)
  end
  self.handle, self.pid = handle, pid
  collect(self, output, "out_lines")
  collect(self, errors, "err_lines")
  feed(input, words.stdin)
  table.insert(alive, self)
  return self
end

--- A Lua program that finds our modules as we do.
function M.lua(words)
  words.env = words.env or {}
  words.env.LUA_PATH, words.env.LUA_CPATH = os.getenv "LUA_PATH", os.getenv "LUA_CPATH"
  table.move({ "setpriv", "--pdeathsig=KILL", "lua5.4" }, 1, 3, 1, table.move(words, 1, #words, 4))
  return M.start(words)
end

local function poll(condition, give_up, self)
  local deadline = uv.hrtime() + M.SECONDS * 1e9
  while true do
    uv.run "nowait"
    local has_ended = self and self.status and self.open == 0
    local result = condition()
    if result then
      return result
    end
    if uv.hrtime() > deadline then
      give_up(("waited %g s in vain"):format(M.SECONDS))
    elseif has_ended then
      give_up(("it ended with %d"):format(self.status))
    end
    uv.sleep(2)
  end
end

--- Runs the loop until the condition holds. Fails when that takes too long, or when the process has
--- ended before; its last words are told.
function Process:wait_until(condition, what)
  return poll(condition, function(why)
    error(("%s, waiting for %s\n%s"):format(why, what, self:last_words()), 4)
  end, self)
end

--- The same of no process in particular.
function M.wait_until(condition, what)
  return poll(condition, function(why)
    error(("%s, waiting for %s"):format(why, what), 4)
  end)
end

--- The next line of stderr that matches; lines before it are passed over for good.
function Process:wait_for_line(matches, what)
  return self:wait_until(function()
    while self.err_lines[self.cursor + 1] do
      self.cursor = self.cursor + 1
      local found = matches(self.err_lines[self.cursor])
      if found then
        return found
      end
    end
  end, what)
end

local function forget(list, self)
  for i = #list, 1, -1 do
    if list[i] == self then
      table.remove(list, i)
    end
  end
end

--- Its exit status.
function Process:wait()
  self:wait_until(function()
    return self.status and self.open == 0
  end, "the end of " .. self.words[1])
  if not self.has_ended then
    self.has_ended = true
    forget(alive, self)
    table.insert(ended, self)
  end
  return self.status
end

function Process:is_running()
  uv.run "nowait"
  return self.status == nil
end

function Process:signal(name)
  assert(uv.kill(self.pid, name))
end

--- kill -9, of this process only: what it has started is to notice by itself.
function Process:kill()
  self:signal "sigkill"
  return self:wait()
end

function Process:output()
  return table.concat(self.out_lines, "\n")
end

function Process:errors()
  return table.concat(self.err_lines, "\n")
end

function Process:last_words()
  local first = math.max(1, #self.err_lines - TOLD_LINES + 1)
  return ("--- %s (pid %d) said:\n%s"):format(
    table.concat(self.words, " "), self.pid, table.concat(self.err_lines, "\n", first))
end

--- Pids of its living children; of all of their names that match, if a pattern is given.
function Process:children(pattern)
  local file = io.open(("/proc/%d/task/%d/children"):format(self.pid, self.pid))
  local pids = {}
  for pid in (file and file:read "a" or ""):gmatch "%d+" do
    local command = io.open(("/proc/%s/cmdline"):format(pid))
    local text = command and command:read("a"):gsub("\0", " ") or ""
    if command then
      command:close()
    end
    if not pattern or text:find(pattern) then
      table.insert(pids, tonumber(pid))
    end
  end
  if file then
    file:close()
  end
  return pids
end

--- KiB of memory that are its own: pages shared with others are not.
function M.memory(pid)
  local status = assert(files.read(("/proc/%d/status"):format(pid)))
  return tonumber(status:match "RssAnon:%s*(%d+)")
end

--- The number of its memory mappings.
function M.mappings(pid)
  local _, count = assert(files.read(("/proc/%d/maps"):format(pid))):gsub("\n", "")
  return count
end

--- The number of its open descriptors.
function M.descriptors(pid)
  return #files.list(("/proc/%d/fd"):format(pid))
end

--- Ends what is left of specs that are over: all if `everything`. Their after_each has run by then.
function M.sweep(everything)
  for _, self in ipairs(table.move(alive, 1, #alive, 1, {})) do
    if self.is_over or everything then
      uv.kill(-self.pid, "sigkill")
      self:wait()
    end
  end
  for _, self in ipairs(table.move(ended, 1, #ended, 1, {})) do
    if self.is_over or everything then
      uv.kill(-self.pid, "sigkill") -- what it may have left in its group
      forget(ended, self)
    end
  end
end

local function on_test_end(_, _, status)
  for _, list in ipairs { ended, alive } do
    for _, self in ipairs(list) do
      self.is_over = not self.words.of_file
      if status == "failure" or status == "error" then
        io.stderr:write(self:last_words(), "\n")
      end
    end
  end
  return nil, true
end

local function on_end()
  M.sweep(true)
  return nil, true
end

local loaded, busted = pcall(require, "busted")
if loaded and busted.subscribe then
  busted.subscribe({ "test", "end" }, on_test_end)
  busted.subscribe({ "file", "end" }, on_end)
  busted.subscribe({ "exit" }, on_end)
end

return M
