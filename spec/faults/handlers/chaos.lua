--- The handlers of the fault harness. Each run says in a file, outside of the queue's tables, that
--- it starts and how it ends. kinds.lua tells what is expected of them.
local jobq = require "jobq"

local DIR = jobq.config "chaos.dir"
local WORKER = jobq.config "chaos.worker"
local BOOT = tonumber(jobq.config "chaos.boot")

-- Seconds of the real clock, whatever clock this worker was started under.
local function now()
  local file <close> = assert(io.open "/proc/uptime")
  return BOOT + tonumber(file:read "n")
end

-- One write a line, so that lines of many processes do not mix.
local function note(word, job, more)
  local file <close> = assert(io.open(DIR .. "/runs", "a"))
  file:write(("%s %d %d %s %.2f %s\n"):format(word, job.id, job.attempt, WORKER, now(), more))
end

local function note_step(job, number, token)
  local file <close> = assert(io.open(DIR .. "/steps", "a"))
  file:write(("%d %d %s\n"):format(job.id, number, token))
end

local function pid()
  local file <close> = assert(io.open "/proc/self/stat")
  return file:read "n"
end

-- True for the first run of this job that asks.
local function first_time(job)
  local path = ("%s/marks/%d"):format(DIR, job.id)
  if io.open(path) then
    return false
  end
  assert(io.open(path, "w")):close()
  return true
end

-- Writes over the program's own code: whatever runs next there is a trap.
local function crash()
  for line in io.lines "/proc/self/maps" do
    local from, to = line:match "^(%x+)%-(%x+) r%-xp .*/jobq%-run$"
    if from then
      from, to = tonumber(from, 16), tonumber(to, 16)
      local memory = assert(io.open("/proc/self/mem", "r+b"))
      memory:seek("set", from)
      memory:write(("\xcc"):rep(to - from))
      memory:close()
    end
  end
end

local function done(job)
  note("end", job, "done")
  return jobq.done { job = job.id, attempt = job.attempt, worker = WORKER }
end

local function kind(options, run)
  options.max_attempts = options.max_attempts or 6
  function options.run(job)
    note("start", job, pid() .. " " .. job.kind)
    return run(job)
  end
  return options
end

local function fail(job)
  note("end", job, "fail")
  error(("job %d, attempt %d"):format(job.id, job.attempt))
end

local function fails(count)
  return function(job)
    jobq.sleep(job.args.seconds or 0)
    return job.attempt <= count and fail(job) or done(job)
  end
end

return {
  quick = kind({}, done),
  sleep = kind({}, fails(0)),
  unique = kind({}, fails(0)),
  flaky = kind({ retry_delay = 0.5 }, fails(2)),
  backoff = kind({}, fails(1)),
  broken = kind({ retry_delay = 0.3, max_attempts = 2 }, fails(1000)),
  discard = kind({}, function(job)
    note("end", job, "discard")
    return jobq.discard(("job %d, attempt %d"):format(job.id, job.attempt))
  end),
  snooze = kind({}, function(job)
    if first_time(job) then
      note("end", job, "snooze")
      return jobq.snooze(0.7)
    end
    return done(job)
  end),
  crash = kind({}, function(job)
    if first_time(job) then
      crash()
    end
    return done(job)
  end),
  compute = kind({ retry_delay = 0.3, timeout = 1 }, function(job)
    while job.attempt == 1 do end
    return done(job)
  end),
  -- What a step has given once it gives in each later run; the auditor compares.
  steps = kind({ retry_delay = 0.3 }, function(job)
    for i = 1, 3 do
      local token = jobq.step("step" .. i, function()
        return ("%d.%s.%.2f"):format(pid(), WORKER, now())
      end)
      note_step(job, i, token)
      jobq.sleep(0.1)
      if i == 2 and job.attempt == 1 then
        fail(job)
      end
    end
    return done(job)
  end),
  batch_ended = kind({}, done),
  limited = kind({}, fails(0)),
  expires = kind({}, fails(0)),
  tick = kind({}, done),
  -- No hook reaches this pattern: only the end of the process ends it.
  stubborn = kind({ timeout = 1 }, function(job)
    if job.attempt == 1 then
      string.find(("a"):rep(200), ("a-"):rep(12) .. "b")
    end
    return done(job)
  end),
}
