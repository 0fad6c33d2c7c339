local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("settling", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "note.write" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function enqueue(options)
    options = options or {}
    options[1] = "note.write"
    return db:enqueue(options)
  end

  local function claim(options)
    enqueue(options)
    return w:claim_one()
  end

  local function count(table_name)
    return db:value("select count(*) from jobq." .. table_name)
  end

  it("ends a completed job with its result, once", function()
    local job = claim()
    local outcome = { result = '{"sent": 9223372036854775807}', ran_us = 2500 }
    assert.equal(0, w:finish(job, "completed", outcome))
    local row = db:job(job.id)
    assert.equal("completed", row.status)
    assert.equal(1, row.attempt)
    assert.equal(w.id, row.worker_id)
    assert.equal('{"sent": 9223372036854775807}', row.result)
    assert.equal(0, count "lease")
    assert.equal(0, count "attempt")
  end)

  it("keeps when the run began, but not before the claim", function()
    local jobs = { claim(), claim() }
    db:query "update jobq.lease set claimed_at = now() - interval '1 minute'"
    w:settle {
      { jobs[1], "completed", ran_us = 2500000 }, { jobs[2], "completed", ran_us = 3600000000 },
    }
    local took = db:query [[select extract(epoch from finished_at - started_at)::float8 as s
      from jobq.job order by id]]
    assert.near(2.5, took[1].s, 0.001)
    assert.near(60, took[2].s, 5)
  end)

  it("answers twice the same and writes once", function()
    local job = claim()
    assert.equal(0, w:finish(job, "completed", { result = "1" }))
    assert.equal(1, w:finish(job, "failed", { error = "late" }))
    assert.equal("completed", db:job(job.id).status)
    assert.equal(1, count "finished")
  end)

  it("writes nothing twice within a lease that is not done", function()
    enqueue()
    enqueue()
    local jobs = w:claim(2)
    assert.equal(0, w:finish(jobs[1], "retry"))
    assert.equal(1, w:finish(jobs[1], "retry"))
    assert.equal(1, w:finish(jobs[1], "completed"))
    assert.equal(0, w:finish(jobs[2], "completed"))
    assert.equal(1, count "attempt")
    assert.equal("pending", db:job(jobs[1].id).status)
  end)

  it("takes parts of several leases in one call, and tells which were refused", function()
    for _ = 1, 6 do
      enqueue()
    end
    local jobs = w:claim(6, { size = 2 })
    assert.equal(3, db:value "select count(distinct seq) from jobq.lease")
    local some = { { jobs[1], "completed" }, { jobs[4], "completed" }, { jobs[5], "failed" } }
    assert.equal(0, w:settle(some))
    local refused = w:ask("settle", w:settle_arguments {
      { jobs[1], "completed" }, { jobs[2], "completed" }, { jobs[3], "completed" },
      { jobs[4], "failed" }, { jobs[6], "completed" },
    })
    assert.same({
      { seq = jobs[1].seq, slot = jobs[1].slot }, { seq = jobs[4].seq, slot = jobs[4].slot },
    }, refused)
    assert.equal(0, count "lease")
    assert.equal(5, db:value "select count(*) from jobq.job where status = 'completed'")
  end)

  it("refuses slots and leases that never were", function()
    local job = claim()
    assert.equal(4, w:settle {
      { { seq = job.seq, slot = 0 }, "completed" }, { { seq = job.seq, slot = 2 }, "completed" },
      { { seq = job.seq, slot = -1 }, "completed" }, { { seq = 999, slot = 1 }, "completed" },
    })
    assert.equal("processing", db:job(job.id).status)
  end)

  it("refuses a lease of another worker with the same number", function()
    local job = claim()
    local other = protocol.worker(db, { kinds = { "note.write" } })
    assert.equal(1, other:finish(job, "completed"))
    assert.equal("processing", db:job(job.id).status)
    assert.equal(0, w:finish(job, "completed"))
  end)

  it("comes too late after recovery, and the next run is not touched", function()
    local job = claim()
    protocol.bury(db, w)
    db:query "update jobq.ready set run_at = now()"
    local other = protocol.worker(db, { kinds = { "note.write" } })
    local again = other:claim_one()
    assert.equal(job.id, again.id)
    assert.equal(1, w:finish(job, "completed", { result = '"stale"' }))
    assert.equal("processing", db:job(job.id).status)
    assert.equal(0, other:finish(again, "completed", { result = '"fresh"' }))
    assert.equal('"fresh"', db:job(job.id).result)
  end)

  it("waits for another settle of the lease and loses no outcome", function()
    enqueue()
    enqueue()
    local jobs = w:claim(2)
    local second = protocol.session(db)
    w:sql "begin"
    assert.equal(0, w:finish(jobs[1], "completed"))
    second:send("settle", w:settle_arguments { { jobs[2], "completed" } })
    protocol.wait_until_blocked(db, second)
    w:sql "commit"
    assert.same({}, second:result())
    assert.equal(0, count "lease")
    assert.equal(2, db:value "select count(*) from jobq.job where status = 'completed'")
  end)

  it("settles once when the same outcomes arrive on two connections at once", function()
    local job = claim()
    local second = protocol.session(db)
    w:sql "begin"
    assert.equal(0, w:finish(job, "completed"))
    second:send("settle", w:settle_arguments { { job, "retry", error = "boom" } })
    protocol.wait_until_blocked(db, second)
    w:sql "commit"
    assert.equal(1, #second:result())
    assert.equal("completed", db:job(job.id).status)
    assert.equal(0, count "ready")
  end)

  it("is undone whole by one value that PostgreSQL rejects", function()
    enqueue()
    enqueue()
    local jobs = w:claim(2)
    local rows, _, sqlstate = w:try("settle", w:settle_arguments {
      { jobs[1], "completed", result = "{}" }, { jobs[2], "completed", result = "{not json" } })
    assert.is_nil(rows)
    assert.equal("22P02", sqlstate)
    assert.equal(2, db:value "select count(*) from jobq.job where status = 'processing'")
  end)

  it("does not lose a job to a word that does not exist", function()
    local job = claim()
    local rows, message = w:try("settle", w:settle_arguments { { job, "complete" } })
    assert.is_nil(rows)
    assert.matches('"complete"', message, 1, true)
    assert.equal("processing", db:job(job.id).status)
  end)

  it("stays calm with absurd delays", function()
    for _, delay_ms in ipairs { math.maxinteger, math.mininteger } do
      local job = claim()
      assert.equal(0, w:finish(job, "snooze", { delay_ms = delay_ms, ran_us = 0 }))
      assert.equal("pending", db:job(job.id).status)
      db:query("delete from jobq.ready")
    end
  end)

  describe("counts attempts", function()
    -- word, attempt in the view afterwards, of a job that had one attempt behind it
    for word, attempt in pairs {
      completed = 2, failed = 2, cancelled = 2, retry = 2, crash = 2,
      snooze = 1, ["return"] = 1, suspect = 1,
    } do
      it("after " .. word, function()
        w:finish(claim(), "retry")
        local job = w:claim_one()
        assert.equal(1, job.attempt)
        assert.equal(2, db:job(job.id).attempt)
        assert.equal(0, w:finish(job, word, { error = "boom" }))
        assert.equal(attempt, db:job(job.id).attempt)
      end)
    end

    it("not for a job that was cancelled before it ran", function()
      local job = claim()
      w:finish(job, "cancelled", { ran_us = 0 })
      assert.equal(0, db:job(job.id).attempt)
    end)

    it("and keeps errors of those that did not end the job, in order", function()
      local job = claim()
      local id = job.id
      w:finish(job, "retry", { error = "first" })
      w:finish(w:claim_one(), "snooze")
      w:finish(w:claim_one(), "crash", { error = "second" })
      db:query "update jobq.ready set run_at = now()"
      w:finish(w:claim_one(), "failed", { error = "third" })
      local trail = db:query("select attempt, outcome, error, worker_id from jobq.attempts($1)", id)
      assert.same({
        { attempt = 1, outcome = "retry", error = "first", worker_id = w.id },
        { attempt = 2, outcome = "crash", error = "second", worker_id = w.id },
        { attempt = 3, outcome = "failed", error = "third", worker_id = w.id },
      }, trail)
      assert.equal("third", db:job(id).error)
    end)

    it("and snoozes, apart", function()
      local job = claim { tags = { "x" } }
      w:finish(job, "snooze")
      w:finish(w:claim_one(), "snooze")
      local row = db:job(job.id)
      assert.equal(0, row.attempt)
      assert.same({ "x" }, row.tags)
      assert.equal("2", db:value("select meta ->> 'snoozes' from jobq.ready where id = $1", job.id))
    end)
  end)

  it("puts a job back at the time asked for", function()
    local job = claim()
    w:finish(job, "retry", { delay_ms = 3600000 })
    assert.equal(3600, db:value [[select extract(epoch from r.run_at - a.finished_at)::int
      from jobq.ready r join jobq.attempt a on a.job_id = r.id]])
    assert.same({}, w:claim())
  end)

  it("fails a job that crashed its worker for the third time", function()
    local id = enqueue { max_attempts = 10 }
    for crash = 1, 3 do
      db:query "update jobq.ready set run_at = now()"
      w:finish(w:claim_one(), "crash", { error = "died" })
      assert.equal(crash < 3 and "pending" or "failed", db:job(id).status)
    end
  end)

  it("fails a crashed job when its attempts are used up, its kind's if it has none", function()
    w:declare { { "note.write", max_attempts = 2 } }
    local id = enqueue()
    w:finish(w:claim_one(), "crash", { error = "died" })
    assert.equal("pending", db:job(id).status)
    db:query "update jobq.ready set run_at = now()"
    w:finish(w:claim_one(), "crash", { error = "died" })
    assert.equal("failed", db:job(id).status)
    assert.equal(2, db:job(id).attempt)
  end)

  describe("releases the unique key", function()
    for word, released in pairs {
      completed = true, failed = true, cancelled = true,
      retry = false, snooze = false, ["return"] = false, suspect = false, crash = false,
    } do
      it((released and "after " or "not after ") .. word, function()
        local job = claim { unique_key = "k" }
        assert.equal(job.id, enqueue { unique_key = "k" })
        w:finish(job, word)
        assert.equal(not released, enqueue { unique_key = "k" } == job.id)
      end)
    end

    it("but not one that somebody else holds by now", function()
      local job = claim { unique_key = "k" }
      db:query "update jobq.unique_key set job_id = 999"
      w:finish(job, "completed")
      assert.equal(1, count "unique_key")
      db:query "delete from jobq.unique_key"
    end)
  end)

  it("cancels what was asked to stop instead of putting it back", function()
    for _, word in ipairs { "retry", "snooze", "return", "suspect", "crash" } do
      local job = claim()
      assert.equal("processing", db:value("select jobq.cancel($1)", job.id))
      w:finish(job, word)
      assert.equal("cancelled", db:job(job.id).status)
    end
    assert.equal(0, count "cancel_request")
  end)

  it("does not cancel what is done or failed already", function()
    for _, word in ipairs { "completed", "failed" } do
      local job = claim()
      db:query("select jobq.cancel($1)", job.id)
      w:finish(job, word)
      assert.equal(word, db:job(job.id).status)
    end
    assert.equal(0, count "cancel_request")
  end)

  describe("inside a handler's transaction", function()
    local function complete(conn, job, result)
      return conn:query([[
        select jobq.complete($1::bigint, $2::bigint, $3::smallint, 2500, $4::json)]],
        w.id, job.seq, job.slot, result)
    end

    it("completes the job with the transaction's effect, or not at all", function()
      db:query "create table effect (n int)"
      local conn = db:connect()
      for _, ending in ipairs { "rollback", "commit" } do
        local job = claim()
        conn:query "begin"
        conn:query "insert into effect values (1)"
        assert(complete(conn, job, '{"a": 1}'))
        assert.equal("processing", db:job(job.id).status)
        conn:query(ending)
        local is_done = ending == "commit"
        assert.equal(is_done and "completed" or "processing", db:job(job.id).status)
        assert.equal(is_done and 1 or 0, db:value "select count(*) from effect")
        assert.equal(is_done and 1 or 0, w:finish(job, "completed")) -- refused, or not
      end
      assert.equal('{"a": 1}', db:value "select result from jobq.finished where result is not null")
    end)

    it("raises when the job is no longer the run's, and undoes the effect", function()
      db:query "create table effect (n int)"
      local job = claim()
      w:finish(job, "retry")
      local conn = db:connect()
      conn:query "begin"
      conn:query "insert into effect values (1)"
      local _, message, sqlstate = complete(conn, job)
      assert.matches("^the job is no longer this run's: ", message)
      assert.equal("JQ001", sqlstate)
      conn:query "commit"
      assert.equal(0, db:value "select count(*) from effect")
      assert.equal("pending", db:job(job.id).status)
    end)

    it("is fenced against the worker's own settling, in both orders", function()
      local conn, settler = db:connect(), protocol.session(db)
      local job = claim()
      conn:query "begin"
      assert(complete(conn, job))
      settler:send("settle", w:settle_arguments { { job, "retry" } })
      protocol.wait_until_blocked(db, settler)
      conn:query "commit"
      assert.equal(1, #settler:result())
      assert.equal("completed", db:job(job.id).status)
    end)
  end)

  it("does not fail for want of a day", function()
    db:query [[do $$ declare day regclass; begin
      for day in select inhrelid::regclass from pg_inherits where inhparent in
        ('jobq.finished_completed'::regclass, 'jobq.attempt'::regclass)
        and inhrelid::regclass::text !~ 'default'
      loop execute 'drop table ' || day; end loop; end $$]]
    local job = claim()
    w:finish(job, "retry")
    assert.equal(0, w:finish(w:claim_one(), "completed"))
    assert.equal("completed", db:job(job.id).status)
  end)
end)
