--- The queue's own days: finished jobs and logs, which go a day at a time (jobq.cleanup).
local archive = require "lib.cleanup.archive"
local jobq = require "jobq"

local M = {}

local PAGE = 1000 -- rows of a file

local queue = function() return jobq.sql.database "queue" end

--- Days of a table that are over.
local DAYS = [[
select count(*)::int8 as days, coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 as bytes
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = $1::regclass and c.relname ~ '_\d{8}$'
  and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= (now() at time zone 'UTC')
    - make_interval(secs => $2::float8)]]

--- Completed jobs of these days.
local JOBS = [[
select j.id::text as key, row_to_json(j)::text as row from jobq.job j
where j.status = 'completed' and j.id > $1::int8
  and j.finished_at < (date_trunc('day', now() at time zone 'UTC'
    - make_interval(secs => $2::float8)) at time zone 'UTC')
order by j.id limit $3::int8]]

--- { days =, bytes = } that are past `seconds`.
function M.past(parent, seconds)
  return jobq.must(queue():query(DAYS, parent, seconds))[1]
end

local function read_page(after, seconds)
  local rows, why, code = queue():query(JOBS, after, seconds, PAGE)
  if code == "42501" then
    error(jobq.discard(why .. "\nhint: grant jobq_reader to the role of the worker"))
  end
  return jobq.must(rows, why, code)
end

--- Completed jobs that are about to go, behind the last one that is kept already.
function M.keep_jobs(job, seconds)
  local after, kept = job:last_checkpoint() or 0, 0
  repeat
    local rows = read_page(after, seconds)
    if rows[1] then
      archive.keep("cleanup.jobs", rows)
      after, kept = math.tointeger(tonumber(rows[#rows].key)), kept + #rows
      job:checkpoint(after)
    end
  until #rows < PAGE
  return kept
end

--- How many days were dropped; each argument in seconds.
function M.drop(keep, keep_failed, keep_logs)
  return jobq.must(queue():value([[
    select jobq.cleanup(make_interval(secs => $1::float8), make_interval(secs => $2::float8),
      make_interval(secs => $3::float8))::int8]], keep, keep_failed, keep_logs))
end

return M
