--- The stage of a run: a server, workers, producers, a proxy in between, a diary of what was done.
--
--     local stage = Stage.open { seed = 7, workers = 3, ... }
--     stage:go(function() stage:sleep(2); stage:kill(stage.slots[1]) end)    a task
--     stage:play(seconds)                                                    tasks go on meanwhile
--     stage:close()
--
-- Tasks are coroutines: they sleep, wait for conditions, and leave what needs the loop to `main`.
local uv = require "luv"
local clock = require "support.clock"
local files = require "support.files"
local postgres = require "support.postgres"
local process = require "support.process"
local proxy = require "support.proxy"
local workers = require "faults.workers"

local Stage = {}
Stage.__index = Stage
for name, method in pairs(workers) do
  Stage[name] = method
end

local M = {}

function M.now()
  local seconds, microseconds = uv.gettimeofday()
  return seconds + microseconds / 1e6
end

-- What to add to /proc/uptime to have the clock on the wall, whatever a worker's own clock says.
local function boot_time()
  local file <close> = assert(io.open "/proc/uptime")
  return M.now() - file:read "n"
end

local function open_proxy(self)
  local names = {}
  for _, list in ipairs { self.slots, self.producers } do
    for _, client in ipairs(list) do
      table.insert(names, client.slot)
    end
  end
  self.proxy = proxy.open(self.dir, self.server_dir, names)
end

-- An interrupted run still ends its processes and removes its folder.
local function listen_for_signals(self)
  for _, name in ipairs { "sigint", "sigterm" } do
    uv.new_signal():start(name, function() self.interrupted = name end)
  end
  uv.new_signal():start "sigpipe" -- else the end of the proxy were ours
end

--- options: see DEFAULTS in run.lua, and seed, defect, sql.
function M.open(options)
  local self = setmetatable({ options = options, tasks = {}, diary = {}, slots = {} }, Stage)
  postgres.durable, postgres.on_disk = true, true
  self.dir = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/jobq-chaos-XXXXXX"))
  files.make_dir(self.dir .. "/marks")
  self.boot = boot_time()
  self.db = postgres.database()
  self.server_dir = self.db.dsn:match "host=(%S+)"
  self.db:query(files.read "spec/faults/journal.sql")
  for _, sql in ipairs(options.sql or {}) do
    self.db:query(sql)
  end
  listen_for_signals(self)
  self.producers = {}
  for i = 1, options.producers do
    self.producers[i] = { slot = "p" .. i }
  end
  for i = 1, options.workers do
    self.slots[i] = { slot = "w" .. i, incarnation = 0 }
  end
  open_proxy(self)
  return self
end

--- How a client of the proxy connects.
function Stage:dsn(client)
  return (self.db.dsn:gsub("host=%S+", ("host=%s/%s"):format(self.dir, client)))
end

--- Tells the proxy what to do; see proxy.lua.
function Stage:order(...)
  self.proxy:order(...)
end

--- SQL past the proxy; nil and the sqlstate when it failed, e.g. because the server is away.
function Stage:sql(text, ...)
  local ok, rows, _, sqlstate = pcall(self.db.try, self.db, text, ...)
  if ok and rows then
    return rows
  end
  self.db:close()
  return nil, sqlstate
end

--- Notes what is done to whom, and until when it may be felt; the auditor judges by it.
function Stage:note(fault, who, seconds, more)
  local entry = { fault = fault, who = who, at = M.now(), until_at = M.now() + (seconds or 0) }
  for name, value in pairs(more or {}) do
    entry[name] = value
  end
  table.insert(self.diary, entry)
  return entry
end

function Stage:start_producers()
  for i, producer in ipairs(self.producers) do
    producer.process = process.lua {
      "spec/faults/producer.lua", producer.slot, self:dsn(producer.slot), self.dir,
      tostring(self.options.seed * 100 + i), self.options.mix, tostring(self.options.rate),
      env = { JOBQ_DEFECT = self.options.defect },
    }
  end
end

--- Producers know soon, and end when their last request is known to be there or not.
function Stage:stop_producers()
  files.write(self.dir .. "/stop", "")
  for _, producer in ipairs(self.producers) do
    self:wait("the end of producer " .. producer.slot, function()
      return producer.process.status
    end)
    if producer.process.status ~= 0 then
      error("a producer failed\n" .. producer.process:last_words())
    end
  end
end

-- Tasks ------------------------------------------------------------------------------------------

function Stage:go(body)
  table.insert(self.tasks, { thread = coroutine.create(body), due = 0 })
end

function Stage:sleep(seconds)
  coroutine.yield(M.now() + seconds)
end

--- Runs something on the main thread, where the loop may turn.
function Stage:main(errand)
  coroutine.yield(errand)
end

--- Until the condition holds; raises after the given seconds.
function Stage:wait(what, condition, seconds)
  local deadline = M.now() + (seconds or 60)
  while true do
    local result = condition()
    if result then
      return result
    elseif M.now() > deadline then
      error(("waited %g s in vain for %s"):format(seconds or 60, what), 2)
    end
    if coroutine.isyieldable() then
      self:sleep(0.02)
    else
      self:turn()
    end
  end
end

local function resume(task)
  local ok, wish = coroutine.resume(task.thread)
  if not ok then
    error(debug.traceback(task.thread, wish), 0)
  end
  if type(wish) == "function" then
    wish()
    wish = 0
  end
  task.due = wish
end

--- One turn of everything.
function Stage:turn()
  uv.run "nowait"
  if self.interrupted then
    error("interrupted by " .. self.interrupted, 0)
  elseif self.proxy.process.status then
    error("the proxy is gone\n" .. self.proxy.process:last_words(), 0)
  end
  self:read_logs()
  for i = #self.tasks, 1, -1 do
    local task = self.tasks[i]
    if M.now() >= task.due then
      resume(task)
      if coroutine.status(task.thread) == "dead" then
        table.remove(self.tasks, i)
      end
    end
  end
  uv.sleep(3)
end

--- Lets the given time pass.
function Stage:play(seconds)
  local deadline = M.now() + seconds
  while M.now() < deadline do
    self:turn()
  end
end

--- Until all tasks are over.
function Stage:finish_tasks()
  self:wait("the end of all faults", function() return #self.tasks == 0 end, 120)
end

-- The end ----------------------------------------------------------------------------------------

--- keep: leaves the folder, and writes what the workers said into it.
function Stage:close(keep)
  for _, slot in ipairs(self.slots) do
    for _, life in ipairs(slot.lives or {}) do
      if keep then
        files.write(("%s/%s.log"):format(self.dir, life.name), life.process:errors() .. "\n")
      end
    end
  end
  if self.proxy then
    self.proxy:close()
  end
  process.sweep(true)
  clock.forget()
  postgres.remove()
  if not keep then
    files.remove(self.dir)
  end
end

return M
