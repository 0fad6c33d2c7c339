local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("a parked job", function()
  local db, w, id

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
    id = db:enqueue { "a" }
    assert.is_true(db:value("select jobq.park($1, 'spec', 'x')", id))
  end)

  after_each(function()
    protocol.finish(db)
  end)

  it("is not claimed before it is unparked, and then has its old place", function()
    local later = db:enqueue { "a" }
    assert.equal(later, w:claim_one().id)
    assert.equal(1, db:value("select jobq.unpark(array[$1::bigint])", id))
    assert.equal(0, db:value("select jobq.unpark(array[$1::bigint])", id))
    assert.equal(id, w:claim_one().id)
  end)

  it("is parked once", function()
    assert.is_false(db:value("select jobq.park($1, 'spec', 'y')", id))
    assert.is_false(db:value("select jobq.park($1, 'spec', 'y')", id + 1))
    assert.equal("x", db:value "select key from jobq.parked")
  end)

  it("waits where it was due, for those who look", function()
    assert.equal("pending", db:job(id).status)
    assert.is_true(db:value("select run_at <= now() from jobq.find($1)", id))
    assert.equal("spec", db:value("select code from jobq.why($1)", id))
  end)

  it("keeps a worker that drains waiting if it is due, and tells it of no time", function()
    assert.is_false(w:value("drained", w.id))
    assert.is_nil(w:value("next_due", w:lanes()))
    db:query("select jobq.edit($1, run_at => now() + interval '1 hour')", id)
    assert.is_true(w:value("drained", w.id))
  end)

  it("can be cancelled and retried", function()
    assert.equal("cancelled", db:value("select jobq.cancel($1)", id))
    assert.equal(0, db:value "select count(*) from jobq.parked")
    assert.is_true(db:value("select run_at <= now() from jobq.find($1)", id))
    assert.is_true(db:value("select jobq.retry($1)", id))
    assert.equal(id, w:claim_one().id)
  end)

  it("keeps a new time and priority until it is unparked", function()
    db:query("select jobq.edit($1, priority => 1, run_at => '2040-01-01 00:00+00')", id)
    assert.same({}, w:claim())
    db:query("select jobq.unpark(array[$1::bigint])", id)
    local job = db:row([[select priority, run_at = '2040-01-01 00:00+00' as at
      from jobq.ready where id = $1]], id)
    assert.same({ priority = 1, at = true }, job)
  end)
end)
