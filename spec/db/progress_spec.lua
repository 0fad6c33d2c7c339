local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("progress", function()
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

  local function tell(worker, seq, slot, fraction, message, age_us)
    worker:ask("write_progress", worker.id, { seq }, { slot }, { fraction }, { age_us or 0 },
      { message or "" })
  end

  local function progress_of(job)
    local row = db:row([[select progress, progress_message, extract(epoch from
      now() - progress_at)::int as age from jobq.job where id = $1]], job.id)
    return { row.progress, row.progress_message, row.age }
  end

  it("shows in the row of a job, the last word only", function()
    local job = claim()
    assert.same({}, progress_of(job))
    tell(w, job.seq, job.slot, 0.25, "copying", 60000000)
    assert.same({ 0.25, "copying", 60 }, progress_of(job))
    tell(w, job.seq, job.slot, 1)
    assert.same({ 1.0, nil, 0 }, progress_of(job))
    assert.same(db:row("select * from jobq.job where id = $1", job.id), db:job(job.id))
    assert.equal(1, db:value "select count(*) from jobq.progress")
  end)

  it("ends with the run", function()
    local job = claim()
    tell(w, job.seq, job.slot, 0.5)
    w:finish(job, "snooze", { delay_ms = 0 })
    assert.same({}, progress_of(job))
    local again = w:claim_one()
    assert.same({}, progress_of(again))
    tell(w, again.seq, again.slot, 0.1)
    w:finish(again, "completed")
    assert.same({}, progress_of(job))
  end)

  it("is for jobs that the worker holds, and others are as they were", function()
    local first, second = claim(), claim()
    local other = protocol.worker(db, { kinds = { "a" }, name = "other" })
    w:finish(first, "completed")
    tell(w, first.seq, first.slot, 0.5)
    tell(w, 99, 1, 0.5)
    tell(w, second.seq, 2, 0.5)
    tell(w, second.seq, 0, 0.5)
    tell(other, second.seq, second.slot, 0.5)
    assert.equal(0, db:value "select count(*) from jobq.progress")
    tell(w, second.seq, second.slot, 0.5)
    assert.same({ 0.5, nil, 0 }, progress_of(second))
  end)

  it("does not wait for a settle in flight, nor that for it", function()
    local job = claim()
    w:sql "begin"
    w:finish(job, "completed")
    local upkeep = protocol.session(db)
    upkeep.id = w.id
    upkeep:sql "set lock_timeout = '1ms'"
    upkeep:sql "begin"
    tell(upkeep, job.seq, job.slot, 0.5)
    w:sql "commit"
    upkeep:sql "commit"
    assert.equal("completed", db:job(job.id).status)
    assert.same({}, progress_of(job))
  end)

  it("is swept", function()
    local ended, running = claim(), claim()
    tell(w, ended.seq, ended.slot, 0.5)
    tell(w, running.seq, running.slot, 0.5)
    w:finish(ended, "completed")
    w:ask("sweep_progress", w.id + 1)
    assert.equal(2, db:value "select count(*) from jobq.progress")
    w:ask("sweep_progress", w.id)
    assert.same({ 0.5, nil, 0 }, progress_of(running))
    assert.equal(1, db:value "select count(*) from jobq.progress")
  end)
end)
