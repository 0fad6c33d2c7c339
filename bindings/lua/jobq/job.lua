--- What run gets. `id`, `attempt` and `args` are in the table, the rest is made on demand: ten
--- thousand waiting jobs should cost little.
local batch = require "jobq.batch"
local core = require "jobq.core"
local nearest = require "jobq.nearest"
local steps = require "jobq.steps"
local strict = require "jobq.strict"

local LAZY = {
  "created_at", "idempotency_key", "kind", "late", "max_attempts", "priority", "queue", "run_at",
  "tags", "tick",
}
local ONLY_OF_SCHEDULES = { late = true, tick = true }
local NAMES = {
  "args", "attempt", "batch", "checkpoint", "id", "last_checkpoint", "log", "progress",
  table.unpack(LAZY),
}
local NO_FRACTION = "progress '%s' is not a number from 0 to 1\nhint: job:progress(done / total)"
local SLACK = 1e-6 -- sums of fractions go a little beyond 1

-- The log belongs to the run that is computing, so that all jobs can share this one.
local log = strict.close("job.log", {
  debug = core.log.debug,
  info = core.log.info,
  warn = core.log.warn,
  error = core.log.error,
})

--- How far the run is, for people who look. Cheap enough for every turn of a loop: a word goes once
--- a second, those in between are forgotten.
local function tell_progress(self, fraction, message)
  if type(self) ~= "table" then
    error("progress has no job\nhint: write job:progress(...) with a colon", 2)
  elseif type(fraction) ~= "number" or not (fraction >= 0 and fraction <= 1 + SLACK) then
    error(NO_FRACTION:format(tostring(fraction)), 2)
  elseif message ~= nil and type(message) ~= "string" then
    error(("progress has a message that is a %s, expected a string"):format(type(message)), 2)
  end
  core.run.progress(fraction < 1 and fraction or 1, message)
end

--- How far a long loop is, so that the next run of the job can go on there. The last one counts.
local function checkpoint(self, value)
  if type(self) ~= "table" then
    error("checkpoint has no job\nhint: write job:checkpoint(...) with a colon", 2)
  elseif value == nil then
    error("checkpoint has no value\nhint: job:last_checkpoint() reads it", 2)
  end
  steps.checkpoint(value)
end

local function last_checkpoint()
  return steps.last_checkpoint()
end

local METHODS = {
  checkpoint = checkpoint, last_checkpoint = last_checkpoint, log = log, progress = tell_progress,
}

local Job = core.job_metatable
Job.__name = "jobq.job"
Job.__metatable = false

function Job.__index(job, name)
  if METHODS[name] then
    return METHODS[name]
  elseif name == "batch" then
    local id = core.run.field "batch"
    return id and rawset(job, name, batch.of_member(id, job.id)).batch
  end
  local value = core.run.field(name)
  if value == nil and ONLY_OF_SCHEDULES[name] then
    return nil
  elseif value == nil then
    error(("job has no field '%s'%s"):format(tostring(name), nearest.hint(name, NAMES)), 2)
  end
  rawset(job, name, value)
  return value
end

function Job.__newindex(_, name)
  error(("job is read-only: '%s' cannot be set"):format(tostring(name)), 2)
end

return { log = log }
