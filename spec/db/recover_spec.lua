local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("recovery", function()
  local db, w, rescuer

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
    rescuer = protocol.session(db)
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function claim(many, options)
    for _ = 1, many do
      db:enqueue(options or { "a" })
    end
    return w:claim(many)
  end

  local function recover(missing)
    return rescuer:ask("recover", 300000, missing or {})
  end

  local function silence(worker)
    db:query("update jobq.worker set seen_at = now() - interval '301 s' where id = $1", worker.id)
  end

  local function state(worker)
    return db:value("select state from jobq.worker where id = $1", worker.id)
  end

  it("puts back the jobs of a worker that was silent too long", function()
    local jobs = claim(3)
    w:finish(jobs[1], "completed")
    silence(w)
    assert.same({ { worker_id = w.id, jobs = 2 } }, recover())
    assert.equal("dead", state(w))
    assert.equal("pending", db:job(jobs[2].id).status)
    assert.equal(0, db:job(jobs[2].id).attempt)
    assert.equal("completed", db:job(jobs[1].id).status)
    assert.same({}, recover())
  end)

  it("tells a dead worker at its next heartbeat, and hands it no job any more", function()
    silence(w)
    recover()
    assert.same({}, w:ask("heartbeat", w.id, 0, 0, 0, 0, 0))
    assert.equal("dead", state(w))
  end)

  it("tells of a dead worker that held nothing, once", function()
    silence(w)
    assert.same({ { worker_id = w.id, jobs = 0 } }, recover())
    assert.same({}, recover())
  end)

  it("leaves a living worker alone", function()
    claim(2)
    assert.same({}, recover())
    assert.equal("running", state(w))
  end)

  it("leaves a worker alone whose heartbeat is just on its way", function()
    claim(1)
    silence(w)
    w:sql "begin"
    w:ask("heartbeat", w.id, 0, 0, 0, 0, 0)
    assert.same({}, recover())
    w:sql "commit"
    assert.same({}, recover())
    assert.equal("running", state(w))
  end)

  it("never meets the same worker twice: ids are 63 random bits", function()
    local other = protocol.worker(db, { kinds = { "a" } })
    assert.is_true(w.id > 0 and other.id > 0)
    assert.is_true(math.abs(w.id - other.id) > 1000000)
  end)

  describe("of a worker that is named as missing", function()
    local function unlock(worker)
      assert.is_true(worker:sql("select pg_advisory_unlock($1::bigint) as done", worker.id)[1].done)
    end

    it("is done at once when its lock is free", function()
      claim(1)
      w.conn:close()
      protocol.wait_until("the lock is free", function()
        return not rescuer:ask("worker_locks")[1].held
      end)
      assert.same({ { worker_id = w.id, jobs = 1 } }, recover { w.id })
    end)

    it("is refused while somebody holds its lock: it came back", function()
      claim(1)
      local seen = rescuer:ask "worker_locks"
      assert.same({ 1, w.id, true }, { #seen, seen[1].id, seen[1].held })
      assert.same({}, recover { w.id })
      assert.equal("running", state(w))
    end)

    it("does not touch others whose lock is free too", function()
      local other = protocol.worker(db, { kinds = { "a" } })
      unlock(other)
      unlock(w)
      recover { other.id }
      assert.equal("dead", state(other))
      assert.equal("running", state(w))
    end)

    it("keeps the lock until it is committed: who comes back then finds itself dead", function()
      unlock(w)
      rescuer:sql "begin"
      recover { w.id }
      assert.is_false(w:take_lock())
      rescuer:sql "commit"
      assert.is_true(w:take_lock())
      assert.same({}, w:ask("heartbeat", w.id, 0, 0, 0, 0, 0))
    end)
  end)

  it("is done by one of two that find the same worker at once", function()
    claim(5)
    silence(w)
    local second = protocol.session(db)
    rescuer:sql "begin"
    assert.equal(5, recover()[1].jobs)
    assert.same({}, second:ask("recover", 300000, {}))
    rescuer:sql "commit"
    assert.same({}, second:ask("recover", 300000, {}))
    assert.equal(5, db:value "select count(*) from jobq.ready")
  end)

  it("lets a settle in flight have its way", function()
    local job = claim(1)[1]
    silence(w)
    w:sql "begin"
    assert.equal(0, w:finish(job, "completed"))
    assert.same({ { worker_id = w.id, jobs = 0 } }, recover())
    w:sql "commit"
    assert.same({}, recover())
    assert.equal("completed", db:job(job.id).status)
  end)

  it("makes a settle wait, and refuses it", function()
    local job = claim(1)[1]
    silence(w)
    rescuer:sql "begin"
    assert.equal(1, recover()[1].jobs)
    w:send("settle", w:settle_arguments { { job, "completed" } })
    protocol.wait_until_blocked(db, w)
    rescuer:sql "commit"
    assert.equal(1, #w:result())
    assert.equal("pending", db:job(job.id).status)
  end)

  it("finds what a paused worker claimed after its death", function()
    silence(w)
    recover()
    claim(1)
    assert.same({ { worker_id = w.id, jobs = 1 } }, recover())
  end)

  it("finds what a worker held that stopped in order", function()
    claim(1)
    w:ask("stop", w.id)
    assert.equal("stopped", state(w))
    assert.equal(1, recover()[1].jobs)
  end)

  describe("blames", function()
    it("nobody of those who shared a lease, but lets each run alone next", function()
      claim(2)
      silence(w)
      recover()
      local other = protocol.worker(db, { kinds = { "a" } })
      local jobs = other:claim(2)
      assert.equal(0, jobs[1].attempt)
      assert.not_equal(jobs[1].seq, jobs[2].seq)
    end)

    it("the one that was alone: an attempt, its error, a pause", function()
      local job = claim(1)[1]
      silence(w)
      recover()
      local row = db:job(job.id)
      assert.equal("pending", row.status)
      assert.equal(1, row.attempt)
      assert.is_true(db:value("select run_at > now() + interval '1 s' from jobq.find($1)", job.id))
      assert.same({ { outcome = "crash", error = "its worker died while it ran" } },
        db:query("select outcome, error from jobq.attempts($1)", job.id))
    end)

    it("it for good when that was its last attempt", function()
      local job = claim(1, { "a", max_attempts = 1, unique_key = "k" })[1]
      silence(w)
      recover()
      local row = db:job(job.id)
      assert.equal("failed", row.status)
      assert.equal("its worker died while it ran", row.error)
      assert.equal(0, db:value "select count(*) from jobq.unique_key")
    end)
  end)

  it("cancels what somebody wanted cancelled", function()
    local jobs = claim(2)
    db:query("select jobq.cancel($1)", jobs[1].id)
    silence(w)
    recover()
    assert.equal("cancelled", db:job(jobs[1].id).status)
    assert.equal("pending", db:job(jobs[2].id).status)
  end)

  it("wakes who sleeps on the lanes", function()
    local other = protocol.worker(db, { kinds = { "a" } })
    other:ask "listen_jobs"
    claim(2)
    other:ask("fall_asleep", other.id, other:lanes())
    other:heard()
    silence(w)
    recover()
    assert.matches("^lane %d+$", other:heard(5)[1] or "nothing")
  end)

  it("keeps unique keys of what waits again", function()
    claim(2, { "a" })
    local job = claim(1, { "a", unique_key = "k" })[1]
    silence(w)
    recover()
    assert.equal(job.id, db:enqueue { "a", unique_key = "k" })
  end)
end)

describe("reconciliation", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
    for _ = 1, 6 do
      db:enqueue { "a" }
    end
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function reconcile(known, below)
    return w:value("reconcile", w.id, known, below)
  end

  it("returns the jobs of leases that the worker does not know, unburnt", function()
    local jobs = w:claim(6, { size = 2 })
    assert.equal(2, reconcile({ 1, 3 }, 4))
    assert.equal("pending", db:job(jobs[3].id).status)
    assert.equal(0, db:job(jobs[3].id).attempt)
    assert.equal("processing", db:job(jobs[1].id).status)
    assert.equal(0, reconcile({ 1, 3 }, 4))
  end)

  it("returns only what is not settled", function()
    local jobs = w:claim(6)
    w:finish(jobs[1], "completed")
    assert.equal(5, reconcile({}, 2))
    assert.equal("completed", db:job(jobs[1].id).status)
  end)

  it("leaves what is still to be told", function()
    w:claim(6, { size = 2 })
    assert.equal(0, reconcile({}, 1))
    assert.equal(2, reconcile({}, 2))
  end)

  it("leaves other workers alone", function()
    w:claim(3)
    local other = protocol.worker(db, { kinds = { "a" } })
    other:claim(3)
    assert.equal(3, reconcile({}, 100))
    assert.equal(3, db:value "select sum(n) from jobq.lease")
  end)

  it("passes over a lease that is being settled", function()
    local jobs = w:claim(6)
    local second = protocol.session(db)
    w:sql "begin"
    w:finish(jobs[1], "completed")
    assert.equal(0, second:value("reconcile", w.id, {}, 100))
    w:sql "commit"
    assert.equal(5, reconcile({}, 100))
  end)

  it("keeps a suspect a suspect", function()
    local jobs = w:claim(2)
    w:settle { { jobs[1], "suspect" }, { jobs[2], "completed" } }
    w:claim()
    reconcile({}, 100)
    assert.equal(1, db:value "select count(*) from jobq.ready where meta ? 'suspect'")
  end)

  it("wakes who sleeps on the lanes", function()
    w:claim(6)
    w:ask "listen_jobs"
    w:ask("fall_asleep", w.id, w:lanes())
    reconcile({}, 100)
    assert.matches("^lane %d+$", w:heard(5)[1] or "nothing")
  end)
end)
