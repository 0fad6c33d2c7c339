--- Gathers at the end of a run what the auditor judges: plain tables, all times in Unix seconds.
--
-- acks      { request, job, kind, at }                      what producers were promised
-- runs      { job, attempt, worker, at, pid, kind, word, ended }   what handlers wrote, by start;
--           without word and ended: it was cut off
-- requests  { id, job, kind, priority, delay, key, expires_in, at }   the producers' own table
-- jobs      { id, kind, status, attempt, ..., args, meta, result }   the queue's tables, jobq.job
-- trail     { job, attempt, outcome, at, worker, error }
-- left      { "lease 3/17 of worker w1.2", ... }             what should be gone
-- deaths    { worker, at, seen_at }                        who was declared dead, since when silent
-- life      by job, { at, what, worker, xid }               what triggers saw
-- watched   { job, told, at_end }   who waited for a job: how often told, how often with its end
-- diary     { fault, who, at, until_at, ... }               what was done to whom
-- steps     { job, number, token }                          what steps gave to the runs, in order
-- batches   { id, name, status, total, done, failed, calls }   calls: jobs added, by event
-- exits     by worker, its exit status; drained: whether the queue ran empty; config: the options
local codec = require("jobq.core").json
local files = require "support.files"

local M = {}

local JOBS = [[
select j.id, j.kind, j.status, j.attempt, j.max_attempts, j.priority, j.args, j.meta, j.result,
  j.error, w.name as worker, extract(epoch from j.finished_at)::float8 as finished_at
from jobq.job j left join jobq.worker w on w.id = j.worker_id order by j.id, j.finished_at]]

local TRAIL = [[
select a.job_id as job, a.attempt, a.outcome, a.error, w.name as worker,
  extract(epoch from a.finished_at)::float8 as at
from jobq.attempt a left join jobq.worker w on w.id = a.worker_id order by a.job_id, a.finished_at]]

local REQUESTS = [[
select id, job_id as job, kind, priority, delay_s as delay, key, expires_s as expires_in,
  extract(epoch from at)::float8 as at
from chaos.request order by at]]

local LIFE = [[
select l.job_id as job, l.what, w.name as worker, l.xid, extract(epoch from l.at)::float8 as at
from chaos.life l left join jobq.worker w on w.id = l.worker_id order by l.at]]

local WATCHED = [[
select w.job_id as job, (select count(*) from chaos.told t where t.job_id = w.job_id) as told,
  (select count(*) from chaos.told t where t.job_id = w.job_id and exists (
    select from chaos.life l
    where l.job_id = t.job_id and l.xid = t.xid and l.what ~ '^[a-z]+ with attempt')) as at_end
from chaos.watched w order by 1]]

local DEATHS = [[
select name as worker, extract(epoch from at)::float8 as at,
  extract(epoch from seen_at)::float8 as seen_at
from chaos.death order by at]]

local BATCHES = [[
select b.id, b.name, b.status, b.total, b.done, b.failed, b.failed_at is not null as has_failed,
  count(j.id) filter (where j.args::jsonb -> 'batch' ->> 'event' = 'on_complete') as completions,
  count(j.id) filter (where j.args::jsonb -> 'batch' ->> 'event' = 'on_failure') as failures
from jobq.batch_status b
left join jobq.job j on j.kind = 'chaos.batch_ended'
  and j.args::jsonb -> 'batch' -> 'id' = to_jsonb(b.id)
group by 1, 2, 3, 4, 5, 6, 7 order by 1]]

local LEFT = [[
select format('lease %s of worker %s, jobs %s', l.seq, w.name, l.ids) as what
  from jobq.lease l left join jobq.worker w on w.id = l.worker_id
union all
select format('a sleeper row of worker %s', s.worker_id) from jobq.sleeper s
union all
select format('unique key %s, held by job %s', u.key, u.job_id) from jobq.unique_key u
  where u.held
union all
select format('unique key %s to be looked at', c.key) from jobq.unique_check c
union all
select format('a request to cancel job %s', c.job_id) from jobq.cancel_request c
union all
select format('job %s, parked for %s %s', p.job_id, p.why, p.key) from jobq.parked p
union all
select format('job %s holds a slot of limit %s', s.job_id, s.limit_id) from jobq.limit_slot s
union all
select format('news of batch %s', d.batch_id) from jobq.batch_delta d
union all
select format('a look at job %s, which would expire', e.job_id) from jobq.expiry e
  where e.at < now() - interval '3 minutes'
union all
select format('worker %s (%s) as running', w.name, w.id) from jobq.worker w
  where w.state = 'running']]

local function decode(text)
  local value = text and codec.decode(text)
  return value ~= codec.null and value or nil
end

local function read_jobs(db)
  local jobs = db:query(JOBS)
  for _, job in ipairs(jobs) do
    job.args, job.meta, job.result = decode(job.args), decode(job.meta) or {}, decode(job.result)
  end
  return jobs
end

local function lines_of(path)
  return (files.read(path) or ""):gmatch "([^\n]*)\n"
end

local function read_acks(path)
  local acks = {}
  for line in lines_of(path) do
    local request, job, kind, at = line:match "^(%S+) (%d+) (%S+) (%S+)$"
    table.insert(acks, { request = request, job = tonumber(job), kind = kind, at = tonumber(at) })
  end
  return acks
end

--- From lines of handlers: a start opens a run, an end closes the latest of that job and worker.
function M.runs(lines)
  local runs, open = {}, {}
  for line in lines do
    local word, job, attempt, worker, at, more = line:match "^(%S+) (%d+) (%d+) (%S+) (%S+) (.*)$"
    local key = ("%s %s %s"):format(job, attempt, worker)
    if word == "start" then
      local pid, kind = more:match "^(%d+) (%S+)$"
      open[key] = {
        job = tonumber(job), attempt = tonumber(attempt), worker = worker, at = tonumber(at),
        pid = tonumber(pid), kind = kind,
      }
      table.insert(runs, open[key])
    elseif open[key] then
      open[key].word, open[key].ended = more, tonumber(at)
    end
  end
  return runs
end

local function read_steps(path)
  local steps = {}
  for line in lines_of(path) do
    local job, number, token = line:match "^(%d+) (%d+) (%S+)$"
    table.insert(steps, { job = tonumber(job), number = tonumber(number), token = token })
  end
  return steps
end

local function read_left(db)
  local left = {}
  for _, row in ipairs(db:query(LEFT)) do
    table.insert(left, row.what)
  end
  return left
end

local function by_job(rows)
  local lives = {}
  for _, row in ipairs(rows) do
    lives[row.job] = lives[row.job] or {}
    table.insert(lives[row.job], row)
  end
  return lives
end

function M.read(stage)
  local db = stage.db
  return {
    acks = read_acks(stage.dir .. "/acks"),
    runs = M.runs(lines_of(stage.dir .. "/runs")),
    requests = db:query(REQUESTS),
    jobs = read_jobs(db),
    steps = read_steps(stage.dir .. "/steps"),
    batches = db:query(BATCHES),
    trail = db:query(TRAIL),
    left = read_left(db),
    watched = db:query(WATCHED),
    deaths = db:query(DEATHS),
    life = by_job(db:query(LIFE)),
    diary = stage.diary,
    exits = stage.exits,
    drained = stage.drained,
    config = stage.options,
  }
end

--- How many different boundaries the proxy has cut at, from what it said.
function M.boundaries(lines)
  local seen, count, cuts = {}, 0, 0
  for _, line in ipairs(lines) do
    local place = line:match "^cut %S+ (.*)$"
    if place then
      cuts = cuts + 1
      count = count + (seen[place] and 0 or 1)
      seen[place] = true
    end
  end
  return { different = count, cuts = cuts }
end

return M
