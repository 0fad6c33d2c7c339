--- Many batches under many hands: jobs that end, fail, are retried, cancelled and added while they
--- run, sessions that are killed at it, others that stay open, and several that advance: each
--- callback comes once.
local postgres = require "support.postgres"
local protocol = require "db.protocol"

local BATCHES, MEMBERS, WORKERS, CHUNK = 200, 100, 20, 60

-- What ought to have been added for each batch, by the jobs themselves, against what was.
local WRONG = [[
  with member as (
    select (meta ->> 'batch')::bigint as batch, status, count(*) as n
    from jobq.finished where meta ? 'batch' group by 1, 2
  ),
  truth as (
    select b.id, coalesce(sum(m.n), 0) as total,
      coalesce(sum(m.n) filter (where m.status = 'failed'), 0) as failed,
      coalesce(sum(m.n) filter (where m.status = 'cancelled'), 0) as cancelled
    from jobq.batch b left join member m on m.batch = b.id group by b.id
  ),
  called as (
    select (args -> 'batch' ->> 'id')::bigint as id,
      count(*) filter (where kind = 'on_complete') as on_complete,
      max((args -> 'batch' ->> 'total')::int) filter (where kind = 'on_complete') as at_end,
      count(*) filter (where kind = 'on_success') as on_success,
      count(*) filter (where kind = 'on_failure') as on_failure
    from jobq.job where kind like 'on\_%' group by 1
  )
  select t.id, t.total, t.failed, t.cancelled, s.total as total_said, s.failed as failed_said,
    s.cancelled as cancelled_said, s.done, s.status, c.at_end, c.on_complete, c.on_success,
    c.on_failure
  from truth t join jobq.batch_status s on s.id = t.id left join called c on c.id = t.id
  where c.on_complete is distinct from 1 or c.at_end is distinct from t.total
    or c.on_success is distinct from (t.failed + t.cancelled = 0)::int
    or c.on_failure is distinct from (t.failed > 0)::int
    or (s.total, s.done, s.failed, s.cancelled)
      is distinct from (t.total, t.total, t.failed, t.cancelled)
  order by t.id]]

describe("batches", function()
  local db, app, random, workers, lost

  before_each(function()
    db = postgres.database()
    app = db:connect()
    random, workers, lost = math.random, {}, 0
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function worker(i)
    return protocol.worker(db, { kinds = { "a" }, name = "w" .. i })
  end

  -- Even ones go well, odd ones meet everything. All are closed before all of them have members.
  local function open_batches()
    local ids = {}
    for i = 1, BATCHES do
      ids[i] = db:value [[select jobq.open_batch(on_success => '"on_success"',
        on_failure => '"on_failure"', on_complete => '"on_complete"')]]
      db:query([[select jobq.enqueue_many('a', array_fill('{}'::jsonb, array[$2::int]),
        batch => $1)]], ids[i], MEMBERS)
      db:query("select jobq.close_batch($1)", ids[i])
    end
    return ids
  end

  local function word_for(batch)
    local dice = random(100)
    if dice <= 25 then
      return dice <= 15 and "retry" or "snooze"
    elseif batch % 2 == 1 and dice <= 28 then
      return dice <= 27 and "failed" or "cancelled"
    end
    return "completed"
  end

  local function batch_of(job)
    return tonumber(job.meta:match '"batch": (%d+)')
  end

  -- A running member adds one now and then, which is committed only when it has been settled and
  -- somebody has advanced; and somebody cancels one.
  local function disturb(job)
    local batch, dice = batch_of(job), random(120)
    if dice <= 2 then
      assert(app:query("select jobq.enqueue('a', batch => $1, batch_member => $2)", batch, job.id))
    elseif dice == 3 and batch % 2 == 1 then
      db:query("select jobq.cancel($1)", job.id + random(50))
    end
  end

  local function send_settle(w)
    local outcomes = {}
    for i, job in ipairs(w.jobs) do
      disturb(job)
      outcomes[i] = { job, word_for(batch_of(job)) }
    end
    w:send("settle", w:settle_arguments(outcomes))
  end

  -- Some sessions are killed while they settle, and what that left is recovered.
  local function kill_some()
    for i, w in ipairs(workers) do
      if w.jobs and random(25) == 1 then
        db:query("select pg_terminate_backend($1)", w.conn:backend_pid())
        w:result()
        lost = lost + 1
        w.conn:close()
        protocol.bury(db, w)
        workers[i] = worker(i)
      end
    end
  end

  local function each(call)
    for _, w in ipairs(workers) do
      call(w)
    end
  end

  -- One round of all: whether anybody had something to do.
  local function round()
    local busy = false
    each(function(w) w:send("claim", w:claim_arguments(CHUNK)) end)
    each(function(w)
      local jobs = w:take(assert(w:result()))
      w.jobs = jobs[1] and jobs
      busy = busy or w.jobs
    end)
    assert(app:query "begin")
    each(function(w) if w.jobs then send_settle(w) end end)
    kill_some()
    each(function(w) if w.jobs then assert(w:result()) end end)
    each(function(w) w:send "advance" end)
    each(function(w) assert(w:result()) end)
    assert(app:query "commit")
    return busy
  end

  local function work()
    repeat
      local busy = round()
      -- Nobody waits for the delay of a crash.
      db:query "update jobq.ready set run_at = now() where run_at > now()"
    until not busy and db:value "select count(*) = 0 from jobq.ready where kind_id = 1"
    while workers[1]:value "advance" do
      db:query "update jobq.batch_delta set at = now() - interval '1 minute'"
    end
  end

  -- Some of those that failed fail again, at least: that is no news.
  local function retry_some()
    db:query [[select jobq.retry_many(array(
      select min(f.id) from jobq.finished f
      where f.status = 'failed' group by f.meta -> 'batch' having count(*) > 1))]]
    local jobs = workers[1]:claim(BATCHES)
    for _, job in ipairs(jobs) do
      workers[1]:finish(job, random(2) == 1 and "failed" or "completed")
      workers[1]:value "advance"
    end
    work()
    return #jobs
  end

  it("call back once each, whatever happens", function()
    for i = 1, WORKERS do
      workers[i] = worker(i)
    end
    open_batches()
    work()
    assert.same({}, db:query(WRONG))
    assert.is_true(retry_some() > 0)
    assert.same({}, db:query(WRONG))
    assert.equal(BATCHES, db:value "select count(*) from jobq.job where kind = 'on_complete'")
    assert.is_true(lost > 0)
  end)
end)
