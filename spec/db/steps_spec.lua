--- Durable steps, events and what waits for them, as workers and applications say it.
local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("a step", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function claim()
    db:enqueue { "a" }
    return w:claim_one()
  end

  local function keep(job, name, value, key)
    return w:try("keep_step", w.id, job.seq, job.slot, name, key or "", value or "1", 0)
  end

  local function steps(id)
    return db:query(
      "select what, name, key, value::text, ended_at is null as open from jobq.steps($1)", id)
  end

  local function refused(_, _, sqlstate)
    assert.equal("JQ001", sqlstate)
  end

  it("is there for the next run, in order", function()
    local job = claim()
    assert(keep(job, "first", '{"id": 7}'))
    assert(keep(job, "each", "null", "k"))
    assert.same({
      { what = "step", name = "first", key = "", value = '{"id": 7}', open = false },
      { what = "step", name = "each", key = "k", value = "null", open = false },
    }, steps(job.id))
    w:finish(job, "retry")
    assert.equal(2, #steps(job.id))
    assert.equal(2, #w:ask("steps", job.id))
  end)

  it("is not written by a run whose job was taken away", function()
    local job = claim()
    w:finish(job, "retry")
    refused(keep(job, "late"))
    refused(w:try("keep_checkpoint", w.id, job.seq, job.slot, "1"))
    refused(w:try("keep_sleep", w.id, job.seq, job.slot, "s", 5))
    refused(w:try("wait_event", w.id, job.seq, job.slot, "e", "", nil))
    job = w:claim_one()
    assert.equal(1, #protocol.bury(db, w))
    refused(keep(job, "dead"))
    assert.same({}, steps(job.id))
  end)

  it("and the end of its run come one after the other", function()
    local job = claim()
    local run = db:connect()
    assert(run:query "begin")
    assert(run:query("select jobq.keep_step($1, $2, $3::smallint, 'x', '', '1')",
      w.id, job.seq, job.slot))
    w:send("settle", w:settle_arguments { { job, "retry" } })
    protocol.wait_until_blocked(db, w)
    assert(run:query "commit")
    assert.same({}, w:result())
    assert.equal(1, #steps(job.id))
  end)

  it("has a value of its own, whole or not at all", function()
    local job = claim()
    assert(keep(job, "x"))
    local _, _, sqlstate = keep(job, "x", "2")
    assert.equal("23505", sqlstate)
    local _, message = keep(job, "big", '"' .. ("x"):rep(1048576) .. '"')
    assert.equal('step "big" takes 1048578 bytes of JSON, the limit is 1048576', message)
    _, message = keep(job, "")
    assert.equal('step "" has 0 characters, expected 1 to 200', message)
    assert.same("1", steps(job.id)[1].value)
  end)

  it("of the kind checkpoint is replaced by the next", function()
    local job = claim()
    for page = 1, 3 do
      w:ask("keep_checkpoint", w.id, job.seq, job.slot, tostring(page))
    end
    assert.same({ { what = "checkpoint", name = "-", key = "", value = "3", open = false } },
      steps(job.id))
  end)

  it("of the kind sleep ends when it first said", function()
    local job = claim()
    local soon = os.time() + 100
    local left = w:value("keep_sleep", w.id, job.seq, job.slot, "s", soon)
    assert.near(100, left, 5)
    assert.near(100, w:value("keep_sleep", w.id, job.seq, job.slot, "s", soon + 1000), 5)
    w:finish(job, "park", { delay_ms = math.floor(left * 1000) })
    assert.same({}, w:claim())
    assert.equal("sleeping", db:value("select code from jobq.why($1)", job.id))
    assert.equal(0, db:value "select count(*) from jobq.parked")
    assert.equal(0, db:job(job.id).attempt)
  end)

  it("goes with its job, and not before", function()
    local ids = {}
    for i, word in ipairs { "completed", "failed", "retry", "held" } do
      local job = claim()
      assert(keep(job, "x"))
      ids[i] = job.id
      if word ~= "held" then
        w:finish(job, word, { delay_ms = 3600000 })
      end
    end
    db:query "select jobq.cleanup()"
    assert.equal(4, db:value "select count(*) from jobq.step")
    db:query "delete from jobq.finished where status = 'completed'"
    db:query "select jobq.cleanup()"
    assert.same({}, steps(ids[1]))
    assert.equal(3, db:value "select count(*) from jobq.step")
  end)

  it("is done again when a completed job is retried, else not, or from there on", function()
    local job = claim()
    for _, name in ipairs { "one", "two", "three" } do
      assert(keep(job, name))
    end
    w:finish(job, "failed")
    local _, message, _, _, hint = db:try("select jobq.retry($1, from_step => 'tow')", job.id)
    assert.equal(('job %d has no step "tow"'):format(job.id), message)
    assert.matches("^it has ", hint)
    assert.is_true(db:value("select jobq.retry($1)", job.id))
    assert.equal(3, #steps(job.id))
    job = w:claim_one()
    w:finish(job, "failed")
    assert.is_true(db:value("select jobq.retry($1, from_step => 'two')", job.id))
    assert.equal("one", steps(job.id)[1].name)
    assert.equal(1, #steps(job.id))
    w:finish(w:claim_one())
    assert.is_true(db:value("select jobq.retry($1)", job.id))
    assert.same({}, steps(job.id))
  end)
end)

describe("an event", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function claim()
    db:enqueue { "a" }
    return w:claim_one()
  end

  local function wait(job, name, timeout, key)
    return w:ask("wait_event", w.id, job.seq, job.slot, name, key or "", timeout)[1]
  end

  local function park(job, name, timeout)
    assert.equal("waiting", wait(job, name, timeout).state)
    assert.equal(0, w:finish(job, "park", { delay_ms = 5 }))
  end

  local function emit(name, payload, id, conn)
    local sql = "select jobq.emit_event($1, $2::jsonb, $3) as added"
    return assert((conn or db:main()):query(sql, name, payload or "{}", id))[1].added
  end

  local function advance()
    return w:value "advance"
  end

  local function value_of(id)
    return db:value("select value::text from jobq.step where job_id = $1", id)
  end

  local function parked()
    return db:value "select count(*) from jobq.parked"
  end

  it("that came early is taken at once, the oldest first, and once", function()
    emit("paid", '{"n": 1}')
    emit("paid", '{"n": 2}')
    local first, second = claim(), claim()
    local answer = wait(first, "paid")
    assert.same({ "taken", '{"n": 1}' }, { answer.state, answer.value })
    assert.equal('{"n": 1}', wait(first, "paid").value)
    assert.equal('{"n": 2}', wait(second, "paid").value)
    assert.equal("waiting", wait(claim(), "paid").state)
  end)

  it("puts the job that waits for it in line", function()
    local job = claim()
    park(job, "paid")
    assert.equal(0, db:value "select count(*) from jobq.lease")
    assert.same({}, w:claim())
    emit("other")
    assert.is_nil(advance())
    assert.equal(1, parked())
    emit("paid", '{"n": 1}')
    assert.is_nil(advance())
    local again = w:claim_one()
    assert.equal(job.id, again.id)
    assert.equal(0, again.attempt)
    assert.equal('{"n": 1}', wait(again, "paid").value)
    assert.equal(job.id, db:value "select job_id from jobq.event where name = 'paid'")
  end)

  it("wakes as many jobs as there are of it", function()
    for _ = 1, 3 do
      park(claim(), "go")
    end
    advance()
    emit("go")
    emit("go")
    advance()
    assert.equal(2, #w:claim())
    assert.equal(1, parked())
    emit("go")
    advance()
    assert.equal(1, #w:claim())
  end)

  -- Each of the two may commit before the other, whatever began first.
  it("meets a job that is parking at the same time", function()
    local job, app = claim(), db:connect()
    wait(job, "paid")
    assert(app:query "begin")
    emit("paid", "1", nil, app)
    w:finish(job, "park")
    assert.is_nil(advance())
    assert.equal(1, parked())
    assert(app:query "commit")
    advance()
    assert.equal(job.id, w:claim_one().id)
  end)

  it("meets a job that is parking when it was there first", function()
    local job = claim()
    wait(job, "paid")
    emit("paid", "1")
    advance() -- nobody waits yet
    w:finish(job, "park")
    advance()
    assert.equal(job.id, w:claim_one().id)
    assert.equal("1", value_of(job.id))
  end)

  it("keeps a worker that drains until somebody has looked for it", function()
    park(claim(), "paid")
    advance()
    assert.is_true(w:value("drained", w.id))
    emit("paid")
    assert.is_false(w:value("drained", w.id))
    advance()
    assert.is_false(w:value("drained", w.id))
    w:finish(w:claim_one())
    assert.is_true(w:value("drained", w.id))
  end)

  it("asks workers to look, as do jobs that park", function()
    w:ask "listen_control"
    emit("paid")
    assert.same({ "advance" }, w:heard(1))
    local job = claim()
    wait(job, "other")
    w:finish(job, "park")
    assert.same({ "advance" }, w:heard(1))
  end)

  it("is there once by its id", function()
    assert.is_true(emit("paid", "1", "x"))
    assert.is_false(emit("paid", "2", "x"))
    assert.is_true(emit("sent", "2", "x"))
    assert.equal("1", wait(claim(), "paid").value)
    assert.is_false(emit("paid", "3", "x"))
  end)

  it("that does not come in time is a timeout, and stays one", function()
    local job = claim()
    park(job, "paid", 100)
    local left = advance()
    assert.is_true(left > 50 and left <= 100)
    assert.equal("event", db:value("select code from jobq.why($1)", job.id))
    db:query "update jobq.parked set due = now() - interval '1 second'"
    assert.is_nil(advance())
    emit("paid")
    local again = w:claim_one()
    assert.equal(job.id, again.id)
    assert.equal("timeout", wait(again, "paid", 100).state)
    assert.equal("timeout", wait(claim(), "none", 0).state)
  end)

  it("has an end that the first run decides", function()
    local job = claim()
    wait(job, "paid", 100)
    assert.near(100, wait(job, "paid", 1000).left_s, 5)
  end)

  it("is waited for without an end, which those who look see as no time", function()
    local job = claim()
    park(job, "paid")
    local why = db:query("select words, hint from jobq.why($1)", job.id)[1]
    assert.equal('it waits for the event "paid", without an end', why.words)
    assert.equal("jobq emit 'paid' brings it", why.hint)
    assert.is_nil(db:value("select run_at from jobq.find($1)", job.id))
    advance()
    assert.is_true(w:value("drained", w.id))
    assert.is_nil(w:value("next_due", w:lanes()))
    assert.equal(1, #db:query "select oldest from jobq.stats()")
    assert.equal("cancelled", db:value("select jobq.cancel($1)", job.id))
    emit("paid")
    advance()
    assert.equal(1, db:value "select count(*) from jobq.event where job_id is null")
  end)

  it("of the wait that began last counts", function()
    local job = claim()
    wait(job, "x", nil, "old") -- a line that the handler has no longer
    wait(job, "x", nil, "new")
    w:finish(job, "park")
    emit("x", "5")
    advance()
    assert.equal("5", wait(w:claim_one(), "x", nil, "new").value)
  end)

  it("does not wait for who has a lock on a job, and comes later", function()
    local job = claim()
    park(job, "paid")
    local people = db:connect()
    assert(people:query "begin")
    assert(people:query("select jobq.edit($1, priority => 1)", job.id))
    emit("paid")
    assert.near(0.2, advance(), 0.001)
    assert(people:query "commit")
    assert.is_nil(advance())
    assert.equal(job.id, w:claim_one().id)
  end)

  it("does not park a job that was asked to stop", function()
    local job = claim()
    wait(job, "paid")
    db:query("select jobq.cancel($1)", job.id)
    w:finish(job, "park")
    assert.equal("cancelled", db:job(job.id).status)
  end)

  it("goes when it is old", function()
    emit("early")
    emit("taken", "1", "x")
    wait(claim(), "taken")
    db:query "select jobq.cleanup()"
    assert.equal(2, db:value "select count(*) from jobq.event")
    db:query "update jobq.event set taken_at = now() - interval '8 days' where job_id is not null"
    db:query "update jobq.event set at = now() - interval '8 days'"
    db:query "select jobq.cleanup()"
    assert.same({ { name = "early" } }, db:query "select name from jobq.event")
  end)

  it("has a name and an id of some length", function()
    local function refused(sql, message)
      local _, why, sqlstate = db:try(sql)
      assert.same({ message, "22023" }, { why, sqlstate })
    end
    refused("select jobq.emit_event('')", 'event "" has 0 characters, expected 1 to 200')
    refused("select jobq.emit_event('a', '1', '')",
      'id "" of event "a" has 0 characters, expected 1 to 200')
  end)
end)
