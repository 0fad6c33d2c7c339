--- How commands ask for jobs and show them. Times are formatted by the database, in UTC.
local json = require "_json"
local time = require "_time"

local M = {}

M.STATUSES = { "pending", "processing", "completed", "failed", "cancelled" }

--- A hint for ids that are not there (any more).
M.KEPT = "completed jobs are kept for 7 days, failed ones for 90, unless jobq cleanup was told else"

local function iso(column)
  return ([[to_char(%s at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')]]):format(column)
end

M.iso = iso

--- Seconds since, negative for what is ahead; infinity is null.
local function age(column)
  return ("case when isfinite(%s) then extract(epoch from now() - %s)::float8 end"):format(
    column, column)
end

M.age = age

--- The columns of a job that the commands show, of a relation `j` like jobq.job.
M.COLUMNS = table.concat({
  "j.id", "j.kind", "j.queue", "j.status::text", "j.priority", "j.attempt", "j.max_attempts",
  "j.worker_id", "j.args::text", "j.error", "j.result::text", "j.tags",
  "j.meta ->> 'cancelled_by' as cancelled_by",
  iso "to_timestamp((j.meta ->> 'expires')::float8)" .. " as expires_at",
  age "to_timestamp((j.meta ->> 'expires')::float8)" .. " as expires_for",
  iso "j.run_at" .. " as run_at", iso "j.created_at" .. " as created_at",
  iso "j.started_at" .. " as started_at", iso "j.finished_at" .. " as finished_at",
  age "j.run_at" .. " as due_for", age "j.created_at" .. " as created_for",
  age "j.started_at" .. " as started_for", age "j.finished_at" .. " as finished_for",
  "extract(epoch from j.finished_at - j.started_at)::float8 as took",
  "j.progress", "j.progress_message", iso "j.progress_at" .. " as progress_at",
  age "j.progress_at" .. " as progress_for",
}, ", ")

--- 'email.*' as a pattern of LIKE.
function M.like(pattern)
  return (pattern:gsub("[\\%%_]", "\\%0"):gsub("%*", "%%"))
end

--- What a list says of when: the last thing that happened, or the next.
function M.when(job)
  if job.finished_for then
    return time.ago(job.finished_for)
  elseif job.status == "processing" then
    return "for " .. time.span(job.started_for or 0)
  elseif not job.due_for then
    return "never"
  end
  return job.due_for < 0 and time.ago(job.due_for) or "due " .. time.ago(job.due_for)
end

--- The first line of its error.
function M.first_line(job)
  return job.error and job.error:match "^[^\n]*"
end

--- How far it is: 40 %, resizing
function M.progress(job)
  local percent = job.progress and ("%d %%"):format((job.progress * 100 + 1e-6) // 1)
  return job.progress_message and ("%s, %s"):format(percent, job.progress_message) or percent
end

local function progress_to_json(job)
  return job.progress and json.object {
    { "fraction", job.progress }, { "message", job.progress_message }, { "at", job.progress_at },
  }
end

function M.attempts(job)
  return ("%d/%d"):format(job.attempt, job.max_attempts)
end

function M.to_json(job, more)
  local fields = {
    { "id", tostring(job.id) },
    { "kind", job.kind }, { "queue", job.queue }, { "status", job.status },
    { "priority", job.priority }, { "attempt", job.attempt },
    { "max_attempts", job.max_attempts },
    { "run_at", job.run_at }, { "created_at", job.created_at },
    { "started_at", job.started_at }, { "finished_at", job.finished_at },
    { "worker_id", job.worker_id and tostring(job.worker_id) },
    { "args", json.raw(job.args) }, { "error", job.error }, { "result", json.raw(job.result) },
    { "tags", job.tags }, { "cancelled_by", job.cancelled_by },
    { "expires_at", job.expires_at },
    { "progress", progress_to_json(job) },
  }
  return json.object(table.move(more or {}, 1, #(more or {}), #fields + 1, fields))
end

return M
