local postgres = require "support.postgres"
local protocol = require "db.protocol"

local SOON = "1 microsecond"

describe("a job that expires", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function expire()
    return db:value "select jobq.expire()"
  end

  local function assert_expired(id)
    local job = db:job(id)
    assert.same({ "cancelled", "expired" }, { job.status, job.error })
  end

  it("tells its worker how long it still has, and others say nothing", function()
    local hour = db:enqueue { "a", expires_in = "1 hour" }
    local past = db:enqueue { "a", expires_in = SOON }
    local plain = db:enqueue { "a" }
    local left = {}
    for _, job in ipairs(w:claim()) do
      left[job.id] = job.expires_s or "never"
    end
    assert.is_true(left[hour] > 3500 and left[hour] <= 3600)
    assert.is_true(left[past] < 0)
    assert.equal("never", left[plain])
    for _, job in ipairs(w:ask("claimed", w.id, 1)) do
      assert.equal(job.id ~= plain, job.expires_s ~= nil)
    end
  end)

  it("is counted from when it is due", function()
    local id = db:enqueue { "a", delay = "1 day", expires_in = "1 hour" }
    local counted = [[select (meta ->> 'expires')::float8 - extract(epoch from run_at)::float8
      from jobq.ready where id = $1]]
    assert.equal(3600, db:value(counted, id))
    db:query("select jobq.edit($1, run_at => '2040-01-01 00:00+00')", id)
    assert.equal(3600, db:value(counted, id))
    assert.is_true(db:value "select max(at) = '2040-01-01 01:00+00' from jobq.expiry")
  end)

  it("is cancelled by the sweep when nobody claims it, once it is late", function()
    local late = db:enqueue { "a", expires_in = SOON, unique_key = "k" }
    local early = db:enqueue { "a", expires_in = "1 hour" }
    local seconds = expire()
    assert.is_true(seconds > 3500 and seconds <= 3600)
    assert_expired(late)
    assert.equal("pending", db:job(early).status)
    assert.is_not.equal(late, db:enqueue { "a", unique_key = "k" })
    assert.equal(1, db:value "select count(*) from jobq.expiry")
  end)

  it("is counted apart by its batch, swept or not begun, until it is retried", function()
    local batch = db:value "select jobq.open_batch()"
    local swept = db:enqueue { "a", expires_in = SOON, batch = batch }
    expire()
    local claimed = db:enqueue { "a", expires_in = SOON, batch = batch }
    w:finish(w:claim_one(), "cancelled", { ran_us = 0, error = "expired" })
    db:query("select jobq.cancel($1)", db:enqueue { "a", expires_in = SOON, batch = batch })
    local function counts()
      return db:row "select expired, cancelled from jobq.batch_status"
    end
    assert.same({ expired = 2, cancelled = 1 }, counts())
    db:query("select jobq.retry_many(array[$1, $2]::bigint[])", swept, claimed)
    assert.same({ expired = 0, cancelled = 1 }, counts())
  end)

  it("is swept by what workers call", function()
    local late = db:enqueue { "a", expires_in = SOON }
    w:ask "advance"
    assert_expired(late)
  end)

  it("is cancelled while it is parked", function()
    local late = db:enqueue { "a", expires_in = SOON }
    db:query("select jobq.park($1, 'spec', 'x')", late)
    expire()
    assert_expired(late)
    assert.equal(0, db:value "select count(*) from jobq.parked")
    assert.is_true(db:value("select isfinite(run_at) from jobq.find($1)", late))
  end)

  it("is left to the worker that has it, and looked at again", function()
    local id = db:enqueue { "a", expires_in = SOON }
    local job = w:claim_one()
    assert.is_true(expire() > 1)
    assert.equal("processing", db:job(id).status)
    assert.equal(1, db:value "select count(*) from jobq.expiry")
    w:finish(job, "retry", { error = "boom" })
    db:query "update jobq.expiry set at = now()"
    expire()
    assert_expired(id)
    assert.is_nil(expire())
  end)

  it("is passed over while somebody holds it, and not forgotten", function()
    local id = db:enqueue { "a", expires_in = SOON }
    local person = protocol.session(db)
    person:sql "begin"
    person:sql("select jobq.edit($1, priority => 1)", id)
    expire()
    person:sql "rollback"
    assert.equal("pending", db:job(id).status)
    db:query "update jobq.expiry set at = now()"
    expire()
    assert_expired(id)
  end)

  it("has begun when it waits for an event, and does not expire there", function()
    local id = db:enqueue { "a", expires_in = SOON }
    w:finish(w:claim_one(), "park")
    assert.is_nil(expire())
    assert.equal("pending", db:job(id).status)
    assert.is_nil(w:claim_one().expires_s)
  end)

  it("is not looked for any more when it has ended", function()
    db:enqueue { "a", expires_in = SOON }
    w:finish(w:claim_one(), "completed")
    assert.is_nil(expire())
    assert.equal(0, db:value "select count(*) from jobq.expiry")
  end)

  it("has all its time again when it is retried by hand", function()
    local id = db:enqueue { "a", expires_in = "1 hour" }
    db:query([[update jobq.ready set meta = meta || '{"expires": 1}' where id = $1]], id)
    db:query "update jobq.expiry set at = now()"
    expire()
    assert_expired(id)
    db:query("select jobq.retry($1)", id)
    assert.is_true(w:claim_one().expires_s > 3500)
    assert.equal(1, db:value "select count(*) from jobq.expiry")
  end)

  it("is swept a thousand at a time, the rest at once after that", function()
    db:query([[select jobq.enqueue_many('a', array_fill('{}'::jsonb, array[3]),
      expires_in => $1::interval)]], SOON)
    assert.equal(0, db:value "select jobq.expire(2)")
    assert.equal(2, db:value "select count(*) from jobq.finished_cancelled")
    assert.is_nil(db:value "select jobq.expire(2)")
    assert.equal(3, db:value "select count(*) from jobq.finished_cancelled")
  end)

  it("does not have the sweep wait for a caller that stays open", function()
    local caller = protocol.session(db)
    caller:sql "begin"
    caller:sql("select jobq.enqueue('a', expires_in => $1::interval)", SOON)
    assert.is_nil(expire())
    caller:sql "commit"
    assert.is_not_nil(db:value "select id from jobq.ready")
    expire()
    assert.equal(0, db:value "select count(*) from jobq.ready")
  end)

  for _, wrong in ipairs { "0", "-1 hour", "4000 days" } do
    it("in " .. wrong .. " is refused by name", function()
      local sql = "select jobq.enqueue('a', expires_in => $1::interval)"
      local rows, message, code = db:try(sql, wrong)
      assert.is_nil(rows)
      assert.equal("22023", code)
      assert.match("^expires_in .* is out of range, expected more than 0", message)
    end)
  end
end)

describe("who cancels a job", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function author(id)
    return db:value("select meta ->> 'cancelled_by' from jobq.find($1)", id)
  end

  it("stays with it, waiting or running: the one who is named, or the session's role", function()
    local waiting = db:enqueue { "a" }
    assert.equal("cancelled", db:value("select jobq.cancel($1, 'why', 'ann')", waiting))
    assert.equal("ann", author(waiting))
    db:enqueue { "a" }
    local job = w:claim_one()
    db:query("select jobq.cancel($1, 'stop it')", job.id)
    w:finish(job, "cancelled", { ran_us = 5 })
    assert.equal(db:value "select session_user", author(job.id))
    assert.equal("stop it", db:job(job.id).error)
  end)

  it("is forgotten when it is retried", function()
    local id = db:enqueue { "a" }
    db:query("select * from jobq.cancel_many(array[$1::bigint], 'why', 'ann')", id)
    assert.equal("ann", author(id))
    db:query("select jobq.retry($1)", id)
    assert.is_nil(w:claim_one().meta)
  end)

  it("is nobody for a job that its own handler or its time ended", function()
    local id = db:enqueue { "a", expires_in = SOON }
    w:finish(w:claim_one(), "cancelled", { ran_us = 0, error = "expired" })
    assert.is_nil(author(id))
    assert.equal("expired", db:job(id).error)
  end)
end)

describe("the result of a job", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function waiter(id, timeout)
    local person = db:connect()
    assert(person:send("call jobq.await($1, $2)", id, timeout))
    return person
  end

  local function sleeps(person)
    db:wait_until("it sleeps between two looks",
      "select wait_event = 'PgSleep' from pg_stat_activity where pid = $1::int",
      person:backend_pid())
  end

  it("is found by its id, with its status and its error", function()
    local id = db:enqueue { "a" }
    local function look()
      return db:row("select * from jobq.result($1)", id)
    end
    assert.same({ status = "pending" }, look())
    local job = w:claim_one()
    assert.same({ status = "processing" }, look())
    w:finish(job, "completed", { result = '{"n": 1}' })
    assert.same({ status = "completed", result = '{"n": 1}' }, look())
    db:enqueue { "a" }
    id = w:claim_one().id
    w:finish({ seq = 2, slot = 1 }, "failed", { error = "boom" })
    assert.same({ status = "failed", error = "boom" }, look())
    id = 999
    assert.same({}, look())
  end)

  it("is awaited outside of transactions, until the job ends", function()
    local id = db:enqueue { "a" }
    local person = waiter(id, "1 minute")
    sleeps(person)
    w:finish(w:claim_one(), "completed", { result = "[1]" })
    assert.same({ { status = "completed", result = "[1]" } }, person:result())
  end)

  it("is awaited no longer than was said", function()
    local id = db:enqueue { "a" }
    assert.same({ { status = "pending" } }, waiter(id, "10 ms"):result())
    assert.same({ { status = "pending" } }, waiter(id, "0"):result())
  end)

  it("is awaited without holding old row versions", function()
    local person = waiter(db:enqueue { "a" }, "1 minute")
    sleeps(person)
    local mark = db:value "select txid_current()"
    db:wait_until("it has let go of what was there before", [[
      select state = 'active' and coalesce(backend_xmin::text::bigint > $2::bigint, true)
      from pg_stat_activity where pid = $1::int]], person:backend_pid(), mark)
    w:finish(w:claim_one(), "completed")
    assert.equal("completed", person:result()[1].status)
  end)

  for what, sql in pairs {
    ["a block"] = { "begin", "call jobq.await(1)", "rollback" },
    ["a block in one message"] = { "begin; call jobq.await(1)", nil, "rollback" },
    ["an anonymous block in a transaction"] = {
      "begin", [[do $$ declare s text; r json; e text; begin
        call jobq.await(1, null, s, r, e); end $$]], "rollback",
    },
  } do
    it("is not awaited inside of a transaction: " .. what, function()
      local message, code, _, hint
      db:enqueue { "a" }
      for i = 1, 2 do
        if sql[i] then
          local rows
          rows, message, code, _, hint = db:try(sql[i])
          assert(rows or i == 2 or not sql[2])
        end
      end
      db:query(sql[3])
      assert.same({ "jobq.await cannot wait inside of a transaction", "25001" }, { message, code })
      assert.match("^CALL it outside of BEGIN and COMMIT", hint)
    end)
  end

  it("is awaited for jobs that there are, for a time that can be", function()
    local _, message, code = db:try "call jobq.await(999)"
    assert.same({ "job 999 does not exist", "P0002" }, { message, code })
    _, message, code = db:try("call jobq.await($1, '-1 s')", db:enqueue { "a" })
    assert.same({ "timeout -00:00:01 is negative", "22023" }, { message, code })
  end)

  it("is told on a channel to those who watch, once, whatever ends the job", function()
    local person = protocol.session(db)
    person:sql "listen jobq_ended"
    local ends = {
      function() w:finish(w:claim_one(), "completed") end,
      function(id) db:query("select jobq.cancel($1)", id) end,
      function(id)
        db:query([[update jobq.ready set meta = '{"expires": 1, "expires_in": 1}'
          where id = $1]], id)
        db:query("insert into jobq.expiry select now(), $1", id)
        db:query "select jobq.expire()"
      end,
      function(id)
        w:finish(w:claim_one(), "retry")
        assert.same({}, person:heard())
        db:query "update jobq.ready set run_at = now()"
        w:finish(w:claim_one(), "failed")
        assert.equal(0, db:value("select count(*) from jobq.waiter where job_id = $1", id))
      end,
    }
    for _, finish in ipairs(ends) do
      local id = db:enqueue { "a" }
      person:sql("select jobq.watch($1)", id)
      person:sql("select jobq.watch($1)", id)
      finish(id)
      assert.same({ tostring(id) }, person:heard(5))
    end
    assert.equal(0, db:value "select count(*) from jobq.waiter")
    db:enqueue { "a" }
    w:finish(w:claim_one(), "completed")
    assert.same({}, person:heard())
  end)

  it("is told by a worker with the rights of one", function()
    local id = db:enqueue { "a" }
    db:query("select jobq.watch($1)", id)
    w:sql "set role jobq_worker"
    w:finish(w:claim_one(), "completed")
    assert.equal(0, db:value "select count(*) from jobq.waiter")
  end)

  it("does not have settling wait for somebody who watches in a long transaction", function()
    local person = protocol.session(db)
    local id = db:enqueue { "a" }
    person:sql "begin"
    person:sql("select jobq.watch($1)", id)
    w:finish(w:claim_one(), "completed")
    assert.equal("completed", db:job(id).status)
  end)

  it("is not watched for ever", function()
    db:query "insert into jobq.waiter values (1, now() - interval '2 days'), (2, now())"
    db:query "select jobq.cleanup()"
    assert.equal(2, db:value "select job_id from jobq.waiter")
  end)
end)

describe("many jobs by hand", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function edit(ids, more)
    local sql = ("select jobq.edit_many($1::bigint[], %s) as id"):format(more)
    return protocol.ids(db:query(sql, ids))
  end

  it("that wait get another priority, time and queue; others are passed over", function()
    local held = db:enqueue { "a" }
    w:claim_one()
    local ended = db:enqueue { "a" }
    db:query("select jobq.cancel($1)", ended)
    local one, two = db:enqueue { "a" }, db:enqueue { "a", priority = 7 }
    assert.same({ one, two }, edit({ held, ended, one, two, 999 },
      "priority => 2, run_at => '2040-01-01 00:00+00', queue => 'other'"))
    assert.same({ jobs = 2, priority = 2, queue = "other" }, db:row [[
      select count(*) as jobs, min(priority) as priority, min(queue) as queue from jobq.job
      where status = 'pending' and run_at = '2040-01-01 00:00+00']])
    assert.same({ 5, 5 }, { db:job(held).priority, db:job(ended).priority })
  end)

  it("are claimed from the queue that they were moved to", function()
    local id = db:enqueue { "a" }
    edit({ id }, "queue => 'other'")
    local other = protocol.worker(db, { kinds = { "a" }, queues = { "other" }, name = "other" })
    assert.equal(id, other:claim_one().id)
  end)

  it("are put off from when they were due, or now", function()
    local due, later = db:enqueue { "a" }, db:enqueue { "a", run_at = "2040-01-01 00:00+00" }
    assert.same({ due, later }, edit({ due, later }, "delay => '10 minutes'"))
    assert.is_true(db:value([[select run_at - now() between '9 minutes' and '10 minutes'
      from jobq.find($1)]], due))
    assert.is_true(db:value("select run_at = '2040-01-01 00:10+00' from jobq.find($1)", later))
    assert.is_true(db:value("select jobq.snooze($1, '1 hour')", later))
    assert.is_true(db:value("select run_at = '2040-01-01 01:10+00' from jobq.find($1)", later))
    assert.is_true(db:value("select jobq.reschedule($1, '2030-01-01 00:00+00')", later))
    assert.is_true(db:value("select run_at = '2030-01-01 00:00+00' from jobq.find($1)", later))
    assert.is_false(db:value "select jobq.snooze(999, '1 hour')")
  end)

  it("that are parked stay so, and keep what they were given", function()
    local id = db:enqueue { "a", expires_in = "1 hour" }
    db:query("select jobq.park($1, 'spec', 'x')", id)
    assert.same({ id }, edit({ id }, "priority => 1, run_at => '2040-01-01 00:00+00'"))
    assert.same({}, w:claim())
    db:query("select jobq.unpark(array[$1::bigint])", id)
    assert.same({ priority = 1, at = true, expires = 3600 }, db:row([[select priority,
      run_at = '2040-01-01 00:00+00' as at,
      ((meta ->> 'expires')::float8 - extract(epoch from run_at))::int as expires
      from jobq.ready where id = $1]], id))
    assert.equal(2, db:value "select count(*) from jobq.expiry")
  end)

  it("that come into a limited queue wait for their turn there", function()
    local id = db:enqueue { "a" }
    db:enqueue { "a", queue = "other" }
    db:query "select jobq.set_limit('few', queue => 'other', concurrency => 1)"
    w:ask "advance"
    edit({ id }, "queue => 'other'")
    assert.equal("limit", db:value("select why from jobq.parked where job_id = $1", id))
  end)

  it("that somebody holds are not waited for", function()
    local held, free = db:enqueue { "a" }, db:enqueue { "a" }
    local person = protocol.session(db)
    person:sql "begin"
    person:sql("select jobq.edit($1, priority => 1)", held)
    assert.same({ free }, edit({ held, free }, "priority => 3"))
  end)

  it("wake who sleeps on their lane", function()
    local id = db:enqueue { "a", delay = "1 day" }
    w:ask "listen_jobs"
    w:ask("fall_asleep", w.id, w:lanes())
    edit({ id }, "run_at => now()")
    assert.same({ "lane " .. w:lanes()[1] }, w:heard(5))
  end)

  it("that have ended are deleted", function()
    local waits = db:enqueue { "a", run_at = "2040-01-01 00:00+00" }
    local failed = db:enqueue { "a" }
    w:finish(w:claim_one(), "failed", { error = "boom" })
    local done = db:enqueue { "a" }
    w:finish(w:claim_one(), "completed")
    assert.same({ failed, done }, protocol.ids(db:query(
      "select d as id from jobq.delete_many($1::bigint[]) d order by 1", { waits, failed, done })))
    assert.is_nil(db:job(done))
    assert.equal("pending", db:job(waits).status)
  end)

  it("are retried with another priority", function()
    local id = db:enqueue { "a" }
    w:finish(w:claim_one(), "failed", { error = "boom" })
    db:query("select jobq.retry_many(array[$1::bigint], priority => 8)", id)
    assert.equal(8, db:job(id).priority)
    w:finish(w:claim_one(), "failed", { error = "boom" })
    db:query("select jobq.retry($1, priority => 2)", id)
    assert.equal(2, db:job(id).priority)
  end)

  for call, expected in pairs {
    ["edit_many(array[1])"] = "nothing is given that is to change",
    ["edit_many(array[1], priority => 10)"] =
      "priority 10 is out of range, expected 0 (soonest) to 9",
    ["edit_many(array[1], delay => '0')"] = "delay 00:00:00 is out of range, expected more than 0",
    ["snooze(1, '-1 s')"] = "delay -00:00:01 is negative",
    ["reschedule(1, 'infinity')"] = "run_at infinity is not a point in time",
    ["retry_many(array[1], priority => -1)"] =
      "priority -1 is out of range, expected 0 (soonest) to 9",
  } do
    it("refuse " .. call, function()
      local rows, message, code = db:try("select jobq." .. call)
      assert.is_nil(rows)
      assert.same({ expected, "22023" }, { message, code })
    end)
  end
end)
