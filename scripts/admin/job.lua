--- jobq job ID: all that is known of one job.
local failure = require "_failure"
local jobs = require "_jobs"
local json = require "_json"
local stack = require "_stack"
local steps = require "_steps"
local print_table = require("_table").print
local text = require "_text"
local time = require "_time"

local LOG_LINES = 20

local function find(context, id)
  local job = context.db:row(("select %s from jobq.find($1::bigint) j"):format(jobs.COLUMNS), id)
  if not job then
    failure.raise("not_found", ("job %d does not exist"):format(id), jobs.KEPT)
  end
  return job
end

local function attempts_of(context, id)
  return context.db:query(([[
    select a.attempt, a.outcome, a.worker_id, a.error, %s as started_at, %s as finished_at,
      %s as finished_for, extract(epoch from a.finished_at - a.started_at)::float8 as took
    from jobq.attempts($1::bigint) a]]):format(
    jobs.iso "a.started_at", jobs.iso "a.finished_at", jobs.age "a.finished_at"), id)
end

local function log_of(context, id)
  return context.db:query(([[
    select l.attempt, l.level, l.message, l.fields::text, %s as at,
      to_char(l.at at time zone 'UTC', 'HH24:MI:SS.MS') as clock
    from jobq.log l where l.job_id = $1::bigint order by l.at, l.attempt]]):format(
    jobs.iso "l.at"), id)
end

-- handlers/email.lua:14: in function 'run'   becomes   handlers/email.lua:14  in function 'run'
local function print_traceback(context, job)
  context:print(("job %d  %s"):format(job.id, text.clean(job.kind)))
  for _, line in ipairs(text.lines(job.error or "")) do
    if line ~= "stack traceback:" then
      context:print((line:gsub("^(%s+%S+:%d+): ", "%1  ")))
    end
  end
end

local function print_log(context, lines)
  for _, line in ipairs(lines) do
    local fields = line.fields and "  " .. text.clean(line.fields) or ""
    context:print(("%s %-5s  %s%s"):format(
      line.clock, line.level, text.clean(line.message), fields))
  end
end

local ATTEMPT_COLUMNS = {
  { "attempt", "attempt", right = true },
  { "when", function(a) return a.finished_for and time.ago(a.finished_for) end },
  { "took", function(a) return a.took and time.span(a.took) end },
  { "outcome", "outcome" },
  { "error", jobs.first_line, flex = true, optional = true },
}

local function print_heading(context, job)
  context:print(("job %d  %s  %s  attempt %d of %d"):format(
    job.id, text.clean(job.kind), job.status, job.attempt, job.max_attempts))
  local line = ("queue %s, priority %d"):format(text.clean(job.queue), job.priority)
  if #job.tags > 0 then
    line = line .. ", tags " .. text.clean(table.concat(job.tags, " "))
  end
  context:print(line)
end

local function worker_name(context, job)
  local row = context.db:row(
    "select w.name from jobq.worker_status w where w.id = $1::bigint", job.worker_id)
  return row and text.clean(row.name) or "forgotten since"
end

local function when_ended(job)
  local took = job.attempt > 0 and ", after " .. time.span(job.took) or ""
  local by = job.cancelled_by and ", by " .. text.clean(job.cancelled_by) or ""
  return ("%s %s, %s%s%s"):format(
    job.status, job.finished_at, time.ago(job.finished_for), took, by)
end

local function print_times(context, job)
  local words = { ("created %s, %s"):format(job.created_at, time.ago(job.created_for)) }
  if job.status == "pending" then
    table.insert(words, ("to run %s, %s"):format(job.run_at or "never", jobs.when(job)))
    if job.expires_at then
      table.insert(words, ("expires %s, %s"):format(job.expires_at, time.ago(job.expires_for)))
    end
  elseif job.status == "processing" then
    table.insert(words, ("processing %s"):format(jobs.when(job)))
    if job.progress then
      table.insert(words, ("progress %s, told %s"):format(
        text.clean(jobs.progress(job)), time.ago(job.progress_for)))
    end
  else
    table.insert(words, when_ended(job))
  end
  if job.worker_id then
    table.insert(words, ("worker %s (%d)"):format(worker_name(context, job), job.worker_id))
  end
  context:print(table.concat(words, "\n"))
end

local function print_label(context, label, value)
  if value then
    context:print(("%-8s %s"):format(label, text.clean(value)))
  end
end

local function print_page(context, job)
  print_heading(context, job)
  print_times(context, job)
  print_label(context, "args", job.args)
  print_label(context, "result", job.result)
  print_label(context, "error", jobs.first_line(job))
  local attempts = attempts_of(context, job.id)
  if #attempts > (job.finished_at and 1 or 0) then
    context:print ""
    print_table(ATTEMPT_COLUMNS, attempts)
  end
  local done = steps.of(context, job.id)
  if #done > 0 then
    context:print ""
    steps.print(done)
  end
  local log = log_of(context, job.id)
  if #log > 0 then
    context:print(("\nlog (UTC), %s"):format(text.count(#log, "line")))
    print_log(context, table.move(log, math.max(1, #log - LOG_LINES + 1), #log, 1, {}))
  end
  if job.error and job.error:find("\n", 1, true) then
    context.say(("jobq job %d --traceback tells where"):format(job.id))
  end
end

local function attempts_to_json(rows)
  local items = {}
  for i, row in ipairs(rows) do
    row.worker_id = row.worker_id and tostring(row.worker_id)
    items[i] = json.pick(row,
      { "attempt", "outcome", "started_at", "finished_at", "worker_id", "error" })
  end
  return items
end

local function log_to_json(rows)
  local items = {}
  for i, row in ipairs(rows) do
    row.fields = json.raw(row.fields)
    items[i] = json.pick(row, { "at", "attempt", "level", "message", "fields" })
  end
  return items
end

local PARTS = {
  args = function(context, job) context:print(text.clean(job.args)) end,
  result = function(context, job) context:print(text.clean(job.result or "null")) end,
  traceback = print_traceback,
  log = function(context, job) print_log(context, log_of(context, job.id)) end,
  attempts = function(context, job) print_table(ATTEMPT_COLUMNS, attempts_of(context, job.id)) end,
  steps = function(context, job) steps.print(steps.of(context, job.id)) end,
}

return {
  group = "Jobs",
  summary = "one job: its state, arguments, error, attempts and log",
  role = "jobq_reader",
  text = [[
jobq job ID stack asks the worker, on this machine, where a running job is right now: its frames,
and what it waits in.
]],
  arguments = {
    { "ID", "the job", type = "id" },
    { "[WHAT]", "stack: where it is, live", type = "choice", choices = { "stack" } },
  },
  options = {
    { "--traceback", "only the whole error, with where it was raised" },
    { "--log", "only what its runs have logged" },
    { "--args", "only its arguments, as JSON" },
    { "--result", "only its result, as JSON" },
    { "--attempts", "only its runs" },
    { "--steps", "only what it has done already, and what it waits for" },
  },
  examples = { { "job 42" }, { "job 42 --traceback" }, { "job 42 stack" }, { "job 42 --json" } },

  run = function(context)
    local job = find(context, context.arguments.id)
    if context.arguments.what then
      return stack.show(context, job)
    end
    if context.json then
      context:print_json(jobs.to_json(job, {
        { "attempts", attempts_to_json(attempts_of(context, job.id)) },
        { "steps", steps.to_json(steps.of(context, job.id)) },
        { "log", log_to_json(log_of(context, job.id)) },
      }))
      return
    end
    local asked = false
    for _, part in ipairs { "args", "result", "traceback", "log", "attempts", "steps" } do
      if context.options[part] then
        asked = true
        PARTS[part](context, job)
      end
    end
    if not asked then
      print_page(context, job)
    end
  end,
}
