--- The faults, by name. Each has `about`, a `weight` in random schedules, and `run(stage, chance)`,
--- which is called in a task of its own; chance() answers numbers from the run's seed.
local uv = require "luv"
local frames = require "faults.frames"
local postgres = require "support.postgres"

local M = {}

local function pick(list, chance)
  return list[1 + math.floor(chance() * #list)]
end

-- One of what the function lists, once it lists anything.
local function pick_when(stage, what, chance, list)
  return pick(stage:wait(what, function()
    local found = list()
    return found and #found > 0 and found
  end), chance)
end

-- A healthy worker.
local function victim(stage, chance)
  return pick_when(stage, "a worker to hurt", chance, function() return stage:up() end)
end

-- How long a worker must be silent until others have taken it for dead, with some room. Where that
-- would be long, a moment that must not be enough.
local function past_recovery(stage)
  return math.min(stage.options.dead_after * 2 + 2, 12)
end

-- A lock that is free for 15 s is a worker's death, too, and connecting again takes up to 5.
local function longest_silence(stage)
  return stage.options.dead_after > 20 and 5 or past_recovery(stage)
end

local function restart_later(stage, slot, seconds)
  stage:sleep(seconds)
  if slot.life.process.status then
    stage:start(slot)
    stage:wait_until_ready(slot.life)
  end
end

M.kill_worker = {
  about = "kill -9 of a worker; another is started in its place",
  weight = 4,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    stage:kill(slot)
    restart_later(stage, slot, 0.5 + chance() * 3)
  end,
}

M.kill_executor = {
  about = "kill -9 of one executor",
  weight = 4,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    local pid = pick_when(stage, "an executor", chance, function() return stage:executors(slot) end)
    stage:note("kill_executor", slot.life.name, 0, { pid = pid })
    uv.kill(pid, "sigkill")
  end,
}

M.stop_worker = {
  about = "SIGSTOP of a worker, with or without its executors, past its recovery; then SIGCONT",
  weight = 3,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    local life = slot.life
    local pids = chance() < 0.5 and stage:executors(slot) or {}
    table.insert(pids, life.pid)
    local seconds = past_recovery(stage) * (0.7 + chance() * 0.5)
    stage:note("stop_worker", life.name, seconds + 2)
    life.stopped = true
    for _, pid in ipairs(pids) do
      uv.kill(pid, "sigstop")
    end
    stage:sleep(seconds)
    for _, pid in ipairs(pids) do
      uv.kill(pid, "sigcont")
    end
    life.stopped = false
  end,
}

-- Every place where a connection can be cut: before and after each message, both ways.
local BOUNDARIES = {}
for way, names in pairs { f = frames.frontend, b = frames.backend } do
  for letter in pairs(names) do
    if letter ~= "X" then
      table.insert(BOUNDARIES, way .. " " .. letter .. " before")
      table.insert(BOUNDARIES, way .. " " .. letter .. " after")
    end
  end
end
table.sort(BOUNDARIES)
M.BOUNDARIES = BOUNDARIES

-- Each cut of a run takes the next boundary.
local function cut(stage, client)
  stage.next_boundary = (stage.next_boundary or stage.options.seed * 7) % #BOUNDARIES + 1
  stage:order("cut", client, BOUNDARIES[stage.next_boundary])
end

M.cut = {
  about = "connections of workers cut, at every message boundary in turn",
  weight = 6,
  run = function(stage, chance)
    for _ = 1, #BOUNDARIES do
      local slot = victim(stage, chance)
      stage:note("cut", slot.life.name, 3)
      cut(stage, slot.slot)
      stage:sleep(0.15)
    end
  end,
}

M.cut_producer = {
  about = "connections of producers cut at message boundaries, eight in a row",
  weight = 3,
  run = function(stage, chance)
    for _ = 1, 8 do
      cut(stage, pick(stage.producers, chance).slot)
      stage:sleep(0.1)
    end
  end,
}

M.half_open = {
  about = "connections that pass nothing on and are not closed, then are cut or come alive again",
  weight = 2,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    local seconds = 1 + chance() * longest_silence(stage)
    stage:note("half_open", slot.life.name, seconds + 6)
    stage:order("half", slot.slot, seconds, pick({ "cut", "resume", "lose" }, chance))
    stage:sleep(seconds)
  end,
}

M.delay = {
  about = "every message of a worker held back for a moment",
  weight = 2,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    stage:note("delay", slot.life.name, 4)
    stage:order("delay", slot.slot, 20 + math.floor(chance() * 300), 3)
  end,
}

M.crash_server = {
  about = "the server stopped without warning, and started again",
  weight = 1.5,
  run = function(stage)
    local entry = stage:note("crash_server", "*", 60)
    stage.db:close()
    stage:main(postgres.restart)
    entry.until_at = stage.now() + 8
  end,
}

M.kill_backend = {
  about = "kill -9 of one of the server's processes: it starts all of them anew",
  weight = 1.5,
  run = function(stage, chance)
    local row = pick_when(stage, "a backend", chance, function()
      return stage:sql [[select pid from pg_stat_activity where backend_type = 'client backend'
        and datname = current_database() and pid <> pg_backend_pid() order by pid]]
    end)
    stage:note("kill_backend", "*", 8)
    uv.kill(row.pid, "sigkill")
  end,
}

M.terminate = {
  about = "pg_terminate_backend of all connections of workers",
  weight = 2,
  run = function(stage)
    stage:note("terminate", "*", 3)
    stage:sql [[select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'jobq-run%' and datname = current_database()]]
  end,
}

M.reload = {
  about = "HUP: new executors load the handlers, old ones finish",
  weight = 2,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    stage:note("reload", slot.life.name)
    uv.kill(slot.life.pid, "sighup")
  end,
}

M.stop_in_order = {
  about = "TERM of a worker; another is started in its place",
  weight = 1.5,
  run = function(stage, chance)
    local slot = victim(stage, chance)
    local life = slot.life
    stage:note("stop_in_order", life.name, 8)
    stage:end_life(life, "sigterm")
    stage:wait("the end of " .. life.name, function() return life.process.status end, 90)
    restart_later(stage, slot, 0.2)
  end,
}

-- Some jobs that have the status now; the first few that there are.
local function some_jobs(stage, which, chance)
  local sql = "select id from jobq.job where %s order by (id * $1::int) %% 101 limit 12"
  return stage:wait("jobs", function()
    local rows = stage:sql(sql:format(which), math.floor(chance() * 100))
    return rows and #rows > 0 and rows
  end)
end

-- A refusal is an answer, a lost connection is none.
local function wish(stage, verb, id, more)
  local entry = stage:note(verb, "*", 0, { job = id, answer = "lost" })
  local rows, sqlstate = stage:sql(("select jobq.%s($1::bigint%s)::text as answer"):format(
    verb, more or ""), id)
  entry.until_at = stage.now()
  if rows then
    entry.answer = rows[1].answer or "null"
  elseif sqlstate == "23505" then
    entry.answer = "refused"
  end
end

M.cancel = {
  about = "jobq.cancel of jobs that wait or run",
  weight = 2,
  run = function(stage, chance)
    for _, job in ipairs(some_jobs(stage, "status in ('pending', 'processing')", chance)) do
      wish(stage, "cancel", job.id)
    end
  end,
}

M.retry = {
  about = "jobq.retry of jobs that failed or were cancelled",
  weight = 3,
  run = function(stage, chance)
    for _, job in ipairs(some_jobs(stage, "status in ('failed', 'cancelled')", chance)) do
      wish(stage, "retry", job.id)
    end
  end,
}

-- Others may bring forward what they renew.
local PLAIN = "status = 'pending' and meta ->> 'unique' is null"

M.snooze = {
  about = "jobq.snooze of jobs that wait",
  weight = 2,
  run = function(stage, chance)
    for _, job in ipairs(some_jobs(stage, PLAIN, chance)) do
      wish(stage, "snooze", job.id, ", '3 seconds'")
    end
  end,
}

M.clock = {
  about = "the clock of a worker jumps by hours or days, and back",
  weight = 1.5,
  run = function(stage, chance)
    for _, slot in ipairs(stage.slots) do
      if slot.clock then
        local jump = pick({ "+2d", "-3h", "+0", "+90s", "-20y" }, chance)
        stage:note("clock", slot.life.name, 0, { jump = jump })
        slot.clock = jump
        stage:set_clock(slot, jump)
      end
    end
  end,
}

--- The names in order; BOUNDARIES is no fault.
function M.names()
  local names = {}
  for name, fault in pairs(M) do
    if type(fault) == "table" and fault.run then
      table.insert(names, name)
    end
  end
  table.sort(names)
  return names
end

return M
