local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("a worker that sleeps", function()
  local db, w, producer

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
    producer = protocol.session(db)
    producer:sql "select jobq.enqueue('a', delay => '1 day')" -- so that the lane is there
    w:ask "listen_jobs"
    w:heard(0)
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function enqueue(options)
    return producer:sql(("select jobq.enqueue('a'%s) as id"):format(options or ""))[1].id
  end

  local function mark()
    w:ask("fall_asleep", w.id, w:lanes())
    return w:value "mark"
  end

  local function lane()
    return "lane " .. db:value "select lane_id from jobq.ready order by id limit 1"
  end

  it("is woken by an enqueue", function()
    mark()
    enqueue()
    assert.same({ lane() }, w:heard(5))
  end)

  it("is not told while nobody sleeps, or sleeps elsewhere", function()
    local before = lane()
    enqueue()
    w:ask("fall_asleep", w.id, { 999 })
    enqueue()
    w:ask("fall_asleep", w.id, w:lanes())
    enqueue()
    assert.same({ before }, w:heard(5)) -- only of the third
    w:ask("withdraw", w.id)
    enqueue()
    producer:sql "notify jobq, 'end'"
    assert.same({ "end" }, w:heard(5))
  end)

  it("is told of jobs that are due within the hour, not of later ones", function()
    mark()
    enqueue ", delay => '59 min'"
    assert.same({ lane() }, w:heard(5))
    enqueue ", delay => '61 min'"
    producer:sql "notify jobq, 'end'"
    assert.same({ "end" }, w:heard(5))
  end)

  it("may sleep when nobody enqueues", function()
    assert.is_true(w:value("may_sleep", mark()))
  end)

  -- The two halves of the promise, with the enqueue on either side of the row's commit.
  it("may not sleep while an enqueue is open that looked too early to see it", function()
    producer:sql "begin"
    local id = enqueue()
    local m = mark()
    assert.is_false(w:value("may_sleep", m))
    assert.same({}, w:claim())
    producer:sql "commit"
    assert.same({}, w:heard(0))
    assert.is_true(w:value("may_sleep", m))
    assert.same({ id }, protocol.ids(w:claim()))
  end)

  it("is woken at the commit by an enqueue that saw it", function()
    local m = mark()
    producer:sql "begin"
    enqueue()
    assert.is_true(w:value("may_sleep", m))
    assert.same({}, w:heard(0))
    producer:sql "commit"
    assert.same({ lane() }, w:heard(5))
  end)

  -- Row 729, enqueue 730 looks, 729 commits: by the row's own id the worker would sleep through it.
  it("waits for an enqueue whose id is later than its row's", function()
    local sleeper = protocol.session(db)
    sleeper:sql "begin"
    sleeper:ask("fall_asleep", w.id, w:lanes())
    local row = sleeper:sql("select pg_current_xact_id()::text as id")[1].id
    producer:sql "begin"
    local id = enqueue()
    sleeper:sql "commit"
    local m = w:value "mark"
    assert.is_true(tonumber(m) > tonumber(row))
    assert.is_true(w:value("may_sleep", row)) -- the mistake that the mark is there for
    assert.is_false(w:value("may_sleep", m))
    producer:sql "commit"
    assert.same({}, w:heard(0))
    assert.is_true(w:value("may_sleep", m))
    assert.equal(id, w:claim_one().id)
  end)

  it("waits for an open id that is not the oldest", function()
    local early, late = protocol.session(db), producer
    early:sql "begin"
    early:sql "select jobq.enqueue('a', delay => '1 day')"
    late:sql "begin"
    enqueue()
    local m = mark()
    early:sql "commit"
    assert.is_false(w:value("may_sleep", m))
    late:sql "rollback"
    assert.is_true(w:value("may_sleep", m))
  end)

  it("is notified unasked by a transaction that cannot look again", function()
    producer:sql "begin isolation level repeatable read"
    producer:sql "select"
    mark()
    enqueue()
    producer:sql "commit"
    assert.same({ lane() }, w:heard(5))
  end)

  it("hears of a new lane even without a row", function()
    producer:sql "select jobq.enqueue('brand.new')"
    assert.same({ "lanes" }, w:heard(5))
    producer:sql "select jobq.enqueue('brand.new')"
    producer:sql "notify jobq, 'end'"
    assert.same({ "end" }, w:heard(5))
  end)

  it("is gone from the sleepers when it stops", function()
    mark()
    w:ask("stop", w.id)
    assert.equal(0, db:value "select count(*) from jobq.sleeper")
  end)

  it("may say so twice", function()
    mark()
    assert.is_true(w:value("may_sleep", mark()))
  end)

  describe("asks when the next job is due", function()
    local function due()
      return w:value("next_due", w:lanes())
    end

    before_each(function()
      db:query "delete from jobq.ready"
    end)

    it("and hears of none", function()
      assert.is_nil(due())
      assert.is_nil(w:value("next_due", {}))
    end)

    it("and hears of the soonest of all priorities and lanes", function()
      enqueue ", delay => '10 min'"
      enqueue ", delay => '5 min', priority => 9"
      enqueue ", delay => '7 min', priority => 0"
      producer:sql "select jobq.enqueue('a', queue => 'other', delay => '3 min')"
      assert.near(180, due(), 5)
    end)

    it("and hears of what came due since it looked", function()
      enqueue()
      assert.equal(0, due())
    end)

    it("but not for ever of what is not for it", function()
      enqueue ", run_at => now() - interval '10 s'"
      enqueue ", delay => '5 min'"
      assert.near(300, due(), 5)
    end)
  end)
end)
