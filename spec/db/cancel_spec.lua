local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("cancelling", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function cancel(id)
    return db:value("select jobq.cancel($1)", id)
  end

  it("ends a waiting job at once and releases its key", function()
    local id = db:enqueue { "a", unique_key = "k", tags = { "t" } }
    assert.equal("cancelled", cancel(id))
    local job = db:job(id)
    assert.equal("cancelled", job.status)
    assert.equal(0, job.attempt)
    assert.same({ "t" }, job.tags)
    assert.same({}, w:claim())
    assert.not_equal(id, db:enqueue { "a", unique_key = "k" })
  end)

  it("asks a running job to stop, on the channel and with each heartbeat", function()
    db:enqueue { "a" }
    local job = w:claim_one()
    w:ask "listen_control"
    assert.equal("processing", cancel(job.id))
    assert.same({ "cancel " .. job.id }, w:heard(5))
    assert.same({ job.id }, w:value("heartbeat", w.id, 0, 0, 0, 0, 0))
    w:finish(job, "cancelled")
    assert.same({}, w:value("heartbeat", w.id, 0, 0, 0, 0, 0))
    assert.equal("cancelled", db:job(job.id).status)
  end)

  it("answers how a job has ended that it cannot cancel any more", function()
    for _, word in ipairs { "completed", "failed", "cancelled" } do
      db:enqueue { "a" }
      local job = w:claim_one()
      w:finish(job, word)
      assert.equal(word, cancel(job.id))
    end
    assert.equal(0, db:value "select count(*) from jobq.cancel_request")
  end)

  it("answers null for what never was", function()
    for _, id in ipairs { 0, -1, 999, math.maxinteger, math.mininteger } do
      assert.is_nil(cancel(id))
    end
    assert.is_nil(db:value "select jobq.cancel(null)")
  end)

  it("of a job that a claim is just taking becomes a wish", function()
    local id = db:enqueue { "a" }
    local person = protocol.session(db)
    w:sql "begin"
    local job = w:claim_one()
    assert(person.conn:send("select jobq.cancel($1) as status", id))
    protocol.wait_until_blocked(db, person)
    w:sql "commit"
    assert.equal("processing", person:result()[1].status)
    w:finish(job, "retry")
    assert.equal("cancelled", db:job(id).status)
  end)

  it("of a job whose claim is undone cancels it", function()
    local id = db:enqueue { "a" }
    local person = protocol.session(db)
    w:sql "begin"
    w:claim_one()
    assert(person.conn:send("select jobq.cancel($1) as status", id))
    protocol.wait_until_blocked(db, person)
    w:sql "rollback"
    assert.equal("cancelled", person:result()[1].status)
  end)

  it("is honoured by the next claim when the job slipped back meanwhile", function()
    db:enqueue { "a" }
    local job = w:claim_one()
    w:sql "begin"
    w:finish(job, "retry")
    assert.equal("processing", cancel(job.id))
    w:sql "commit"
    assert.equal("pending", db:job(job.id).status)
    local again = w:claim_one()
    assert.is_true(again.cancelled)
    w:finish(again, "return")
    assert.equal("cancelled", db:job(job.id).status)
  end)

  it("twice at once ends it once", function()
    local id = db:enqueue { "a" }
    local second = protocol.session(db)
    db:query "begin"
    assert.equal("cancelled", cancel(id))
    assert(second.conn:send("select jobq.cancel($1) as status", id))
    protocol.wait_until_blocked(db, second)
    db:query "commit"
    assert.equal("cancelled", second:result()[1].status)
    assert.equal(1, db:value "select count(*) from jobq.finished")
  end)

  it("is undone with the caller's transaction", function()
    local id = db:enqueue { "a" }
    db:query "begin"
    cancel(id)
    db:query "rollback"
    assert.equal("pending", db:job(id).status)
  end)
end)

describe("retrying by hand", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function retry(id, delay)
    return db:value("select jobq.retry($1, $2::interval)", id, delay or "0")
  end

  local function failed(options)
    options = options or {}
    options[1] = "a"
    db:enqueue(options)
    local job = w:claim_one()
    w:finish(job, "failed", { error = "boom" })
    return job.id
  end

  it("puts a failed job back with its id, its history and one more attempt", function()
    local id = failed { max_attempts = 1, tags = { "t" } }
    assert.is_true(retry(id))
    local job = db:job(id)
    assert.same({ "pending", 1, 2 }, { job.status, job.attempt, job.max_attempts })
    assert.same({ "t" }, job.tags)
    assert.same({ { attempt = 1, outcome = "failed", error = "boom" } },
      db:query("select attempt, outcome, error from jobq.attempts($1)", id))
    w:finish(w:claim_one(), "completed")
    assert.equal("completed", db:job(id).status)
    assert.equal(2, db:job(id).attempt)
  end)

  it("leaves the number of attempts to the kind while some are left", function()
    local id = db:enqueue { "nobody.knows" }
    db:query("select jobq.cancel($1)", id)
    assert.is_true(retry(id))
    assert.is_nil(db:value("select max_attempts from jobq.ready where id = $1", id))
  end)

  it("is for jobs that ended", function()
    local pending = db:enqueue { "a", delay = "1 h" }
    db:enqueue { "a" }
    local job = w:claim_one()
    assert.is_false(retry(job.id))
    w:finish(job, "completed")
    assert.is_true(retry(job.id))
    assert.is_false(retry(pending))
    assert.is_false(retry(12345))
    local cancelled = db:enqueue { "a" }
    db:query("select jobq.cancel($1)", cancelled)
    assert.is_true(retry(cancelled))
  end)

  it("can wait", function()
    local id = failed()
    retry(id, "10 min")
    assert.same({}, w:claim())
    assert.is_true(db:value("select run_at > now() + interval '9 min' from jobq.find($1)", id))
  end)

  it("refuses a negative delay", function()
    local _, message = db:try("select jobq.retry($1, '-1 s')", failed())
    assert.equal("delay -00:00:01 is negative", message)
  end)

  it("twice at once puts it back once", function()
    local id = failed()
    local second = protocol.session(db)
    db:query "begin"
    assert.is_true(retry(id))
    assert(second.conn:send("select jobq.retry($1) as done", id))
    protocol.wait_until_blocked(db, second)
    db:query "commit"
    assert.is_false(second:result()[1].done)
    assert.equal(1, db:value "select count(*) from jobq.ready")
  end)

  it("takes the unique key again, or is refused by who has it now", function()
    local id = failed { unique_key = "k" }
    local other = db:enqueue { "a", unique_key = "k" }
    local _, message, sqlstate = db:try("select jobq.retry($1)", id)
    assert.equal("23505", sqlstate)
    assert.equal(('job %d cannot wait again: job %d holds its unique_key "k"'):format(id, other),
      message)
    assert.equal("failed", db:job(id).status)
    w:finish(w:claim_one(), "completed")
    assert.is_true(retry(id))
    assert.equal(id, db:enqueue { "a", unique_key = "k" })
  end)

  it("takes back the wish that it be cancelled", function()
    local id = failed()
    db:query("insert into jobq.cancel_request values ($1)", id)
    retry(id)
    assert.is_false(w:claim_one().cancelled)
  end)

  it("wakes who sleeps", function()
    local id = failed()
    w:ask "listen_jobs"
    w:ask("fall_asleep", w.id, w:lanes())
    retry(id)
    assert.matches("^lane %d+$", w:heard(5)[1] or "nothing")
  end)
end)
