--- The part of the stage that starts workers, hurts them, and listens to what they say.
--
-- A slot holds one worker at a time; each process in it is a life: { name, process, from, to }.
local uv = require "luv"
local build = require "support.build"
local clock = require "support.clock"
local process = require "support.process"

local HANDLERS = "spec/faults/handlers"

local M = {}

local function now()
  local seconds, microseconds = uv.gettimeofday()
  return seconds + microseconds / 1e6
end

-- A worker under a clock of its own, which reads a file for what it is to show.
local function clock_of(self, slot, env)
  clock.env(env)
  env.FAKETIME_TIMESTAMP_FILE = ("%s/clock.%s"):format(self.dir, slot.slot)
  env.FAKETIME_CACHE_DURATION = "1"
  self:set_clock(slot, slot.clock)
end

--- What the slot's clock shows from now on: "+0", "+2d", "-3h".
function M.set_clock(self, slot, offset)
  local file <close> = assert(io.open(("%s/clock.%s"):format(self.dir, slot.slot), "w"))
  file:write(offset, "\n")
end

function M.start(self, slot)
  slot.incarnation = slot.incarnation + 1
  local name = ("%s.%d"):format(slot.slot, slot.incarnation)
  local options = self.options
  local words = {
    "setpriv", "--pdeathsig=KILL", build.program "jobq-run", -- it must not outlive us
    "--name=" .. name, "--concurrency=" .. options.concurrency, "--executors=" .. options.executors,
    "--dead-after=" .. options.dead_after .. "s",
    "--heartbeat-interval=" .. options.heartbeat .. "ms",
    "--poll-interval=" .. options.poll, "--shutdown-grace=5s", "--log-level=debug",
    "--set=chaos.dir=" .. self.dir, "--set=chaos.worker=" .. name,
    ("--set=chaos.boot=%.3f"):format(self.boot), HANDLERS,
  }
  words.env = {
    JOBQ_DSN = self:dsn(slot.slot), JOBQ_LOG_FORMAT = "logfmt", JOBQ_DEFECT = options.defect,
  }
  if slot.clock then
    clock_of(self, slot, words.env)
  end
  local life = { name = name, slot = slot, from = now(), read = 0, process = process.start(words) }
  life.pid = life.process.pid
  slot.lives = slot.lives or {}
  table.insert(slot.lives, life)
  slot.life = life
  return life
end

function M.is_up(_, slot)
  return slot.life and not slot.life.to and not slot.life.process.status and not slot.life.stopped
end

--- Slots with a healthy worker.
function M.up(self)
  local list = {}
  for _, slot in ipairs(self.slots) do
    if self:is_up(slot) then
      table.insert(list, slot)
    end
  end
  return list
end

--- Or until a fault has ended it, which sees to the next one.
function M.wait_until_ready(self, life)
  self:wait("worker " .. life.name, function()
    if life.ended_by_fault then
      return true
    elseif life.process.status then
      error(("worker %s ended with %d\n%s"):format(life.name, life.process.status,
        life.process:last_words()))
    end
    return life.ready
  end, 120)
end

--- kill -9; its executors go with it.
function M.kill(self, slot)
  local life = slot.life
  self:note("kill_worker", life.name, 0, { pid = life.pid })
  self:end_life(life, "sigkill")
end

--- By a signal of a fault, so that its end is none of its own doing.
function M.end_life(_, life, signal)
  life.to = now()
  life.ended_by_fault = true
  uv.kill(life.pid, signal)
end

function M.executors(_, slot)
  return slot.life.process:children "%-%-executor"
end

-- What is said -----------------------------------------------------------------------------------

local heard = {}

heard["worker ready"] = function(self, life)
  life.ready = true
  self.counts.ready = (self.counts.ready or 0) + 1
end

heard["executor died"] = function(self, life, line)
  self:note("executor died", life.name, 0, { pid = tonumber(line:match " pid=(%d+)") })
end

heard["declared dead by another worker, starting over"] = function(self, life)
  self:note("declared dead", life.name)
end

-- It fences itself: in such a time it may stop its runs and give them back.
heard["no answer from the database, starting nothing"] = function(self, life)
  life.held = self:note("held", life.name, 3600)
end

heard["the database answers"] = function(_, life)
  life.held.until_at = now()
end

local COUNTED = {
  ["outcomes came too late: the jobs were no longer ours"] = { "refused", " jobs=(%d+)" },
  ["returned jobs of unknown leases"] = { "strangers", " jobs=(%d+)" },
  ["claim recalled after a lost reply"] = { "recalled", " jobs=(%d+)" },
  ["recovered the jobs of a dead worker"] = { "recovered", " jobs=(%d+)" },
  ["database back"] = { "reconnects" },
  ["reloaded"] = { "reloads" },
  ["executor died"] = { "executors_died" },
  ["no answer from the database, starting nothing"] = { "held" },
}

local function hear(self, life, line)
  local message = line:match ' msg="([^"]*)"' or line:match " msg=(%S+)"
  local counted = COUNTED[message]
  if counted then
    local name, pattern = table.unpack(counted)
    local value = pattern and tonumber(line:match(pattern)) or 1
    self.counts[name] = (self.counts[name] or 0) + value
  end
  if heard[message] then
    heard[message](self, life, line)
  end
end

--- Takes up what workers have said since the last time; the hour is that of hearing.
function M.read_logs(self)
  self.counts = self.counts or {}
  for _, slot in ipairs(self.slots) do
    for _, life in ipairs(slot.lives or {}) do
      local lines = life.process.err_lines
      for i = life.read + 1, #lines do
        hear(self, life, lines[i])
      end
      life.read = #lines
      if life.process.status and not life.to then
        life.to = now()
      end
    end
  end
end

return M
