--- The records of a run, indexed, and the questions that several checks ask. See records.lua.
local Book = {}
Book.__index = Book

local M = {}

-- Faults that may delay work or bring it to another worker, and those that forget commits.
local DISTURBING = {
  kill_worker = true, kill_executor = true, stop_worker = true, cut = true, half_open = true,
  delay = true, crash_server = true, kill_backend = true, terminate = true, stop_in_order = true,
  ["executor died"] = true, ["declared dead"] = true, held = true, clock = true,
}
local CRASHES = { crash_server = true, kill_backend = true }
local ENDS_WORKER = {
  kill_worker = true, stop_worker = true, half_open = true, stop_in_order = true,
  ["declared dead"] = true, held = true,
}

M.SLACK = 0.06 -- clocks are read to 10 ms
M.HEARD = 1.5 -- what workers say may be heard so much later
M.FELT = 12 -- how long a fault may be felt by those who wait

local function group(list, key)
  local groups = {}
  for _, item in ipairs(list) do
    local name = item[key]
    if name ~= nil then
      groups[name] = groups[name] or {}
      table.insert(groups[name], item)
    end
  end
  return groups
end

function M.open(all)
  local self = setmetatable({ all = all }, Book)
  self.jobs = group(all.jobs, "id")
  self.trail = group(all.trail, "job")
  self.runs = group(all.runs, "job")
  self.acks = group(all.acks, "job")
  self.requests = group(all.requests, "job")
  self.wishes = group(all.diary, "job")
  self.deaths = group(all.deaths, "worker")
  return self
end

local function overlaps(entry, from, to)
  return entry.at <= to and (entry.until_at or entry.at) >= from
end

function Book:any(from, to, test)
  for _, entry in ipairs(self.all.diary) do
    if overlaps(entry, from, to) and test(entry) then
      return entry
    end
  end
end

--- Nothing was done that anybody could still feel.
function Book:is_calm(from, to)
  return not self:any(from - M.FELT, to, function(entry) return DISTURBING[entry.fault] end)
end

function Book:crashed(from, to)
  return self:any(from, to, function(entry) return CRASHES[entry.fault] end)
end

--- The worker was hurt, or others took it for dead, at a time when this run could be taken from it.
function Book:lost_worker(run, until_at)
  for _, death in ipairs(self.deaths[run.worker] or {}) do
    if death.at >= run.at - M.FELT and death.at <= until_at + M.HEARD then
      return true
    end
  end
  return self:any(run.at, until_at + M.HEARD, function(entry)
    return entry.who == run.worker and ENDS_WORKER[entry.fault]
  end)
end

function Book:lost_executor(run, until_at)
  return self:any(run.at - M.SLACK, until_at + M.HEARD, function(entry)
    return entry.who == run.worker and entry.pid == run.pid
      and (entry.fault == "executor died" or entry.fault == "kill_executor")
  end)
end

--- True if something happened to this run that brings its job to others before until_at.
function Book:was_interrupted(run, until_at)
  return self:lost_executor(run, until_at) or self:lost_worker(run, until_at)
    or self:crashed(run.at, until_at)
end

-- A moment ago may count: a reply under way, a process that does not get its turn.
function Book:was_disturbed(run, from)
  return self:any(from - M.FELT, run.at, function(entry)
    return DISTURBING[entry.fault] and (entry.who == run.worker or entry.who == "*")
  end)
end

--- Somebody put it off, or it was parked behind the holder of its unique key.
function Book:was_put_off(id)
  for _, event in ipairs(self.all.life[id] or {}) do
    if event.what:find "^is parked" then
      return true
    end
  end
  return #self:asked(id, "snooze") > 0
end

--- What people asked for this job: the entries of one verb.
function Book:asked(job, verb)
  local list = {}
  for _, entry in ipairs(self.wishes[job] or {}) do
    if entry.fault == verb then
      table.insert(list, entry)
    end
  end
  return list
end

--- The last row of a job; a second one is a violation that `twice` tells.
function Book:job(id)
  local rows = self.jobs[id]
  return rows and rows[#rows]
end

return setmetatable(M, { __index = Book })
