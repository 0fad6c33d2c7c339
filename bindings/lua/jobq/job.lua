--- What run gets. `id`, `attempt` and `args` are in the table, the rest is made on demand: ten
--- thousand waiting jobs should cost little.
local core = require "jobq.core"
local nearest = require "jobq.nearest"
local strict = require "jobq.strict"

local LAZY = {
  "created_at", "idempotency_key", "kind", "max_attempts", "priority", "queue", "run_at", "tags",
}
local NAMES = { "args", "attempt", "id", "log", table.unpack(LAZY) }

-- The log belongs to the run that is computing, so that all jobs can share this one.
local log = strict.close("job.log", {
  debug = core.log.debug,
  info = core.log.info,
  warn = core.log.warn,
  error = core.log.error,
})

local Job = core.job_metatable
Job.__name = "jobq.job"
Job.__metatable = false

function Job.__index(job, name)
  if name == "log" then
    return log
  end
  local value = core.run.field(name)
  if value == nil then
    error(("job has no field '%s'%s"):format(tostring(name), nearest.hint(name, NAMES)), 2)
  end
  rawset(job, name, value)
  return value
end

function Job.__newindex(_, name)
  error(("job is read-only: '%s' cannot be set"):format(tostring(name)), 2)
end

return { log = log }
