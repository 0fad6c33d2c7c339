--- Waiting for the end of a job, and telling it.
local failure = require "_failure"
local host = require "jobq.host"
local jobs = require "_jobs"
local text = require "_text"
local time = require "_time"

local M = {}

local LOOK_S = 1

local ENDED = { completed = true, failed = true, cancelled = true }

local function judge(job, id, seconds)
  if not ENDED[job.status] then
    failure.raise("failed", ("after %s job %d is still %s"):format(
      time.span(seconds), id, job.status), ("jobq why %d"):format(id))
  elseif job.status ~= "completed" then
    local why = job.error and ": " .. text.clean(jobs.first_line(job)) or ""
    failure.raise("failed", ("job %d %s%s"):format(id,
      job.status == "failed" and "failed" or "was cancelled", why),
      ("jobq job %d --traceback"):format(id))
  end
end

-- Told of the end on a channel, and looks now and then all the same: a pooler keeps notifications
-- to itself, and one may be missed (jobq.watch).
local function wait_until_ended(context, id, seconds)
  local sql = ("select %s from jobq.find($1::bigint) j"):format(jobs.COLUMNS)
  local deadline = seconds and host.time() + seconds
  context.db:query "listen jobq_ended"
  context.db:query("select jobq.watch($1::bigint)", id)
  while true do
    local job = context.db:row(sql, id)
    local left = deadline and deadline - host.time() or LOOK_S
    if not job or ENDED[job.status] or left <= 0 then
      return job
    end
    context.db:wait(math.min(left, LOOK_S))
  end
end

--- The exit status is that of the job: raises unless it completed. seconds: nil for no end.
function M.wait(context, id, seconds)
  local job = wait_until_ended(context, id, seconds)
  if not job then
    failure.raise("not_found", ("job %d is gone"):format(id), jobs.KEPT)
  elseif context.json then
    context:print_json(jobs.to_json(job))
  elseif job.status == "completed" then
    context:print(("completed after %s%s"):format(time.span(job.took),
      job.result and "\n" .. text.clean(job.result) or ""))
  end
  judge(job, id, seconds)
end

return M
