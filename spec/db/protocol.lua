--- Workers in specs of the database: no process, just the statements of sql/queries, said by hand.
--
--     local w = protocol.worker(db, { kinds = { "email.send" } })   registered, its lock held
--     local jobs = w:claim(10)                      in the order in which they should run
--     w:settle { { jobs[1], "completed", result = '{"ok": true}' }, { jobs[2], "retry" } }
--     w:ask("heartbeat", w.id, 0, 0, 0, 0, 0)       any statement by its name: rows, raises
--     w:try("claim", ...)                           rows, or nil, message, sqlstate
--     w:send("claim", ...)  w:result()              in two steps, to have two at a time
--
-- A worker has a connection of its own, with the settings that the engine makes.
local uv = require "luv"
local files = require "support.files"

local M = {}

local Session = {}
Session.__index = Session

local Worker = setmetatable({}, { __index = Session })
Worker.__index = Worker

local LAST_PRIORITY = 9
local DEADLINE_SECONDS = 15

local texts = {}

--- Where the statements of a release are, or those of today.
function M.folder(release)
  return release and "spec/releases/" .. release or "sql/queries"
end

local function text_of(name, release)
  local path = ("%s/%s.sql"):format(M.folder(release), name)
  texts[path] = texts[path] or assert(files.read(path), path)
  return texts[path]
end

local function fail(name, message, sqlstate)
  error(("%s: %s (%s)"):format(name, message, sqlstate), 3)
end

--- A session of the engine, of no worker yet. options: more of a DSN, e.g. "user=jobq_worker".
function M.session(db, options, release)
  local self = setmetatable({ conn = db:connect(options), release = release }, Session)
  self:ask "session"
  return self
end

-- The text of a statement and what it is given. A release does not know the parameters that came
-- after it, at the end.
local function said_by(session, name, ...)
  local text = text_of(name, session.release)
  if not session.release then
    return text, ...
  end
  local known = 0
  for number in text:gmatch "%$(%d+)" do
    known = math.max(known, tonumber(number))
  end
  return text, table.unpack({ ... }, 1, known)
end

function Session:try(name, ...)
  return self.conn:query(said_by(self, name, ...))
end

function Session:ask(name, ...)
  local rows, message, sqlstate = self:try(name, ...)
  return rows or fail(name, message, sqlstate)
end

--- The only value of the first row.
function Session:value(name, ...)
  local row = self:ask(name, ...)[1]
  if row then
    local _, value = next(row)
    return value
  end
end

function Session:send(name, ...)
  assert(self.conn:send(said_by(self, name, ...)))
end

function Session:result()
  return self.conn:result()
end

--- Any SQL, raises.
function Session:sql(sql, ...)
  local rows, message, sqlstate = self.conn:query(sql, ...)
  return rows or fail(sql, message, sqlstate)
end

--- The generic plan of a statement, one text.
function Session:plan(name, arguments)
  self:sql("prepare planned as " .. text_of(name, self.release))
  local lines = {}
  for i, row in ipairs(self:sql("explain execute planned " .. arguments)) do
    lines[i] = row["QUERY PLAN"]
  end
  return table.concat(lines, "\n")
end

--- The same with what was really read, and undone.
function Session:analyze(name, arguments)
  self:sql "begin"
  self:sql("prepare analyzed as " .. text_of(name, self.release))
  local lines = {}
  for i, row in ipairs(self:sql("explain (analyze, timing off) execute analyzed " .. arguments)) do
    lines[i] = row["QUERY PLAN"]
  end
  self:sql "rollback"
  self:sql "deallocate analyzed"
  return table.concat(lines, "\n")
end

--- Waits until the server says that this session waits for a lock. Not from pg_stat_activity, which
--- does not change for who looks from within a transaction.
function M.wait_until_blocked(db, session)
  db:wait_until("a session waits for a lock",
    "select exists (select from pg_locks where pid = $1::int and not granted) as blocked",
    session.conn:backend_pid())
end

--- Payloads that came to this session within the seconds, as a sequence.
function Session:heard(seconds)
  local payloads = {}
  for _, each in ipairs(self.conn:notifications(seconds or 0)) do
    table.insert(payloads, each.payload)
  end
  return payloads
end

local function element(value)
  if value == nil then
    return "NULL"
  end
  return '"' .. tostring(value):gsub('[\\"]', "\\%0") .. '"'
end

-- A PostgreSQL array of one field of each item; nil if no item has it.
local function array_of(items, get)
  local parts, some = {}, false
  for i, item in ipairs(items) do
    local value = get(item)
    some = some or value ~= nil
    parts[i] = element(value)
  end
  return (some or #items == 0) and "{" .. table.concat(parts, ",") .. "}" or nil
end

--- Whether it holds its lock now. It does not ask for its name.
function Worker:take_lock()
  return self:ask("take_lock", self.id, nil)[1].held
end

--- options: kinds (names, or { name, queue =, max_attempts =, priority =, ... }), queues, name,
--- release (whose statements it says, see spec/releases)
function M.worker(db, options)
  local self = setmetatable(M.session(db, nil, options.release), Worker)
  self.name = options.name or "spec"
  self.id = self:value("register", 1, "host", self.name, "0.1.0", options.queues, 100, nil)
  self.seq = 1
  assert(self:take_lock(), "its lock is taken")
  self:declare(options.kinds)
  return self
end

local function field(kinds, name, default)
  local values = {}
  for i, kind in ipairs(kinds) do
    local value = type(kind) == "table" and kind[name] or nil
    values[i] = value or (name == 1 and kind) or default
  end
  return values
end

--- Declares kinds and sorts lanes until nothing moves, as workers do when handlers are loaded.
function Worker:declare(kinds)
  self.kinds = {}
  local rows = self:ask("declare_kinds", self.id,
    field(kinds, 1), field(kinds, "queue", "default"), field(kinds, "max_attempts", 3),
    field(kinds, "priority", 5), field(kinds, "timeout", 60), field(kinds, "summary", ""),
    field(kinds, "schema", ""), field(kinds, "source", ""), "1")
  for _, row in ipairs(rows) do
    if not row.paused then
      table.insert(self.kinds, row.kind_id)
    end
    self.kinds[row.name] = row.kind_id
  end
  self:sort()
end

function Worker:sort()
  while self:value "sort_lanes" > 0 do -- luacheck: ignore 542
  end
end

function Worker:lanes()
  local lanes = {}
  for i, row in ipairs(self:ask("lanes", self.id)) do
    lanes[i] = row.lane_id
  end
  return lanes
end

-- All levels of these lanes from their start, or those asked for.
local function levels_of(worker, options)
  if options.levels then
    return options.levels
  end
  local levels = {}
  local lanes = options.lanes or worker:lanes()
  for priority = 0, LAST_PRIORITY do
    for _, lane in ipairs(lanes) do
      table.insert(levels, { lane, priority, "-infinity", 0 })
    end
  end
  return levels
end

--- What claim gets. options: size (of a lease), kinds, lanes, levels (lane, priority, run_at, id).
function Worker:claim_arguments(many, options)
  options = options or {}
  local columns = { {}, {}, {}, {} }
  for i, level in ipairs(levels_of(self, options)) do
    for c = 1, 4 do
      columns[c][i] = level[c]
    end
  end
  return self.id, self.seq, many, options.size or 64,
    columns[1], columns[2], columns[3], columns[4], options.kinds or self.kinds
end

local function in_order(a, b)
  if a.priority ~= b.priority then
    return a.priority < b.priority
  elseif a.run_at ~= b.run_at then
    return a.run_at < b.run_at
  end
  return a.id < b.id
end

--- Jobs in the order in which they should run.
function Worker:take(jobs)
  for _, job in ipairs(jobs) do
    self.seq = math.max(self.seq, job.seq + 1)
  end
  table.sort(jobs, in_order)
  return jobs
end

function Worker:claim(many, options)
  return self:take(self:ask("claim", self:claim_arguments(many or 100, options)))
end

--- The only job that can be claimed.
function Worker:claim_one(options)
  local jobs = self:claim(2, options)
  assert(#jobs == 1, ("%d jobs were claimed instead of one"):format(#jobs))
  return jobs[1]
end

--- What settle gets, for outcomes { job, word, ran_us=, delay_ms=, error=, result= }.
function Worker:settle_arguments(outcomes)
  local function get(key)
    return function(outcome) return outcome[key] end
  end
  return self.id,
    array_of(outcomes, function(o) return o[1].seq end),
    array_of(outcomes, function(o) return o[1].slot end),
    array_of(outcomes, get(2)),
    array_of(outcomes, get "ran_us"), array_of(outcomes, get "delay_ms"),
    array_of(outcomes, get "error"), array_of(outcomes, get "result")
end

--- Answers how many were refused.
function Worker:settle(outcomes)
  return #self:ask("settle", self:settle_arguments(outcomes))
end

--- Settles one.
function Worker:finish(job, word, more)
  local outcome = more or {}
  outcome[1], outcome[2] = job, word or "completed"
  return self:settle { outcome }
end

--- Silent for so long that it is dead, and recovered by somebody else.
function M.bury(db, worker)
  db:query("update jobq.worker set seen_at = now() - interval '1 hour' where id = $1", worker.id)
  return db:query "select * from jobq.recover()"
end

--- A job is in exactly one place, whatever happened; raises if not.
function M.check_places(db)
  local stray = db:query [[
    with place as (
      select id from jobq.ready
      union all
      select j.id from jobq.lease l, unnest(l.ids) with ordinality j (id, slot)
      where j.slot <> all (l.done)
      union all
      select id from jobq.finished
    )
    select id, count(*) from place group by id having count(*) > 1]]
  assert(#stray == 0, ("job %s is in several places"):format(stray[1] and stray[1].id))
  local empty = db:query "select seq from jobq.lease where n <= cardinality(done)"
  assert(#empty == 0, "a lease is still there though all its jobs are settled")
  local half = db:query [[
    select coalesce(r.id, p.job_id) as id
    from (select id from jobq.ready where run_at = 'infinity') r
    full join jobq.parked p on p.job_id = r.id
    where r.id is null or p.job_id is null]]
  assert(#half == 0, ("job %s is half parked"):format(half[1] and half[1].id))
end

--- Who holds a unique key lives, or has failed and was to succeed; who follows is parked; and of
-- the jobs with one key only one may be claimed or runs. Raises if not.
function M.check_keys(db)
  local wrong = db:query [[
    with live as (
      select r.id, r.kind_id, r.meta, r.run_at = 'infinity' and exists (
          select from jobq.parked p where p.job_id = r.id and p.why = 'unique') as follows
      from jobq.ready r where r.meta ? 'unique'
      union all
      select j.id, j.kind_id, j.meta, false
      from jobq.lease l, unnest(l.jobs) with ordinality
        as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta,
          slot)
      where j.slot <> all (l.done) and j.meta ? 'unique'
    )
    select format('unique key %s is held by job %s, which does not live', u.key, u.job_id) as wrong
    from jobq.unique_key u
    where u.turn = 0 and u.held and u.job_id not in (select id from live)
      and not exists (select from jobq.finished f where f.id = u.job_id and f.status = 'failed'
        and f.meta ->> 'unique_until' = 'succeeded')
    union all
    select format('job %s follows with unique key %s, and is not parked', u.job_id, u.key)
    from jobq.unique_key u
    where u.turn = 1 and u.job_id not in (select id from live where follows)
    union all
    select format('job %s is parked, and follows nobody', l.id) from live l
    where l.follows
      and not exists (select from jobq.unique_key u where u.turn = 1 and u.job_id = l.id)
    union all
    select format('%s jobs have unique key %s', count(*), l.meta ->> 'unique') from live l
    where not l.follows and l.meta ->> 'unique_until' is distinct from 'start'
      and not exists (select from jobq.unique_key u
        where u.kind_id = l.kind_id and u.key = l.meta ->> 'unique' and u.until is not null)
    group by l.kind_id, l.meta ->> 'unique' having count(*) > 1]]
  assert(#wrong == 0, wrong[1] and wrong[1].wrong)
end

--- The end of a spec: nothing is out of place, no connection is left.
function M.finish(db)
  M.check_places(db)
  M.check_keys(db)
  db:close()
end

--- Ids of rows, in their order.
function M.ids(rows)
  local ids = {}
  for i, row in ipairs(rows) do
    ids[i] = row.id
  end
  return ids
end

--- Calls look until it answers true; `what` is told when it never does.
function M.wait_until(what, look)
  local deadline = uv.hrtime() + DEADLINE_SECONDS * 1e9
  while not look() do
    assert(uv.hrtime() < deadline, ("waited %d s in vain until %s"):format(DEADLINE_SECONDS, what))
    uv.sleep(2)
  end
end

return M
