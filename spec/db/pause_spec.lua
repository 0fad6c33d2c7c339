local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("a pause", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a", "b", { "mail", queue = "mail" } } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function pause(arguments, ...)
    return db:value(("select jobq.pause(%s)"):format(arguments), ...)
  end

  local function why(id)
    return db:row("select code, words, hint from jobq.why($1) limit 1", id)
  end

  describe("of a queue", function()
    it("takes its lanes from workers until it is resumed, and tells them both times", function()
      w:ask "listen_jobs"
      w:heard()
      local id, other = db:enqueue { "mail" }, db:enqueue { "a" }
      assert.is_true(pause "'mail', reason => 'smtp limit', author => 'ann'")
      assert.same({ "lanes" }, w:heard(5))
      assert.equal(other, w:claim_one().id)
      assert.is_true(db:value "select jobq.resume('mail')")
      assert.same({ "lanes" }, w:heard(5))
      assert.equal(id, w:claim_one().id)
    end)

    it("holds for each line of it: of its own kinds, and of strangers", function()
      db:enqueue { "a", queue = "mail" }
      db:enqueue { "mail" }
      db:enqueue { "b", queue = "mail" }
      pause "'mail'"
      assert.same({}, w:claim())
      db:value "select jobq.resume('mail')"
      assert.equal(3, #w:claim())
    end)

    it("leaves what runs, and is not waited for by a worker that drains", function()
      db:enqueue { "mail" }
      db:enqueue { "mail" }
      local job = w:claim(1)[1]
      pause "'mail'"
      assert.is_false(w:value("drained", w.id))
      w:finish(job)
      assert.is_true(w:value("drained", w.id))
    end)

    it("is told with who and why, once", function()
      local id = db:enqueue { "mail" }
      assert.is_true(pause "'mail', reason => 'smtp limit', author => 'ann'")
      assert.is_false(pause "'mail', reason => 'other', author => 'bob'")
      local said = why(id)
      assert.same({ "paused", "jobq resume mail" }, { said.code, said.hint })
      assert.match('^queue "mail" has been paused for %d+ m?s by ann: smtp limit$', said.words)
      assert.same({ name = "mail", paused_by = "ann", pause_reason = "smtp limit", pending = 1 },
        db:row [[select name, paused_by, pause_reason, pending from jobq.queue_status
          where paused_at is not null]])
      assert.is_true(db:value "select jobq.resume('mail')")
      assert.is_false(db:value "select jobq.resume('mail')")
      assert.equal("soon", why(id).code)
    end)
  end)

  describe("of a kind", function()
    it("puts its jobs in a line of their own, which no worker looks at", function()
      for _ = 1, 20 do
        db:enqueue { "a" }
      end
      local before = w:lanes()
      local id = db:enqueue { "b" }
      pause "kind => 'a'"
      w:declare { "a", "b", { "mail", queue = "mail" } }
      assert.same(before, w:lanes())
      assert.equal(id, w:claim_one().id)
      db:enqueue { "a" }
      assert.same({ { n = 21 } }, db:query [[select count(*) as n from jobq.ready r
        join jobq.lane l on l.id = r.lane_id where l.kind_id = r.kind_id]])
      db:value "select jobq.resume(kind => 'a')"
      w:declare { "a", "b", { "mail", queue = "mail" } }
      assert.equal(21, #w:claim())
      local after = db:enqueue { "a" }
      assert.equal(0, db:value([[select l.kind_id from jobq.ready r
        join jobq.lane l on l.id = r.lane_id where r.id = $1]], after))
    end)

    it("is told to workers with its number, for what still stands in a shared line", function()
      pause "kind => 'a'"
      local rows = w:ask("declare_kinds", w.id, { "a", "b" }, { "default", "default" }, { 3, 3 },
        { 5, 5 }, { 60, 60 }, { "", "" }, { "", "" }, { "", "" }, "1")
      assert.same({ a = true, b = false },
        { [rows[1].name] = rows[1].paused, [rows[2].name] = rows[2].paused })
    end)

    it("holds in every queue, and before anybody has declared it", function()
      local id = db:enqueue { "new", queue = "mail" }
      pause "kind => 'new'"
      w:declare { "new", "a" }
      assert.same({}, w:claim())
      assert.equal("paused", why(id).code)
      assert.is_true(w:value("drained", w.id))
      db:value "select jobq.resume(kind => 'new')"
      w:declare { "new", "a" }
      assert.equal(id, w:claim_one().id)
    end)
  end)

  it("of a queue and of a kind both keep a job", function()
    local id = db:enqueue { "mail" }
    pause "'mail'"
    pause "kind => 'mail'"
    assert.equal(2, db:value("select count(*) from jobq.why($1) where code = 'paused'", id))
    db:value "select jobq.resume('mail')"
    w:declare { "a", "b", { "mail", queue = "mail" } }
    assert.same({}, w:claim())
  end)

  it("is of one thing that is there", function()
    for call, message in pairs {
      ["jobq.pause()"] = "expected a queue or a kind, got neither",
      ["jobq.pause('mail', 'a')"] = "expected a queue or a kind, got both",
      ["jobq.pause('mial')"] = 'queue "mial" does not exist',
      ["jobq.resume(kind => 'c')"] = 'kind "c" does not exist',
      ["jobq.pause('mail', reason => repeat('x', 1001))"] = "has 1001 characters",
    } do
      local _, said = db:try("select " .. call)
      assert.match(message, said, 1, true)
    end
  end)

  it("keeps no lock that a worker wants, however long its transaction stays open", function()
    local person = db:connect()
    assert(person:query "begin")
    assert(person:query "select jobq.pause(kind => 'a')")
    w:sql "set lock_timeout = '2s'"
    w:declare { "a", "b", { "mail", queue = "mail" } }
    local id = db:enqueue { "a" }
    assert.equal(id, w:claim_one().id)
    assert(person:query "rollback")
  end)
end)
