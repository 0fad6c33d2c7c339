local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("by hand", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function enqueue(options)
    options = options or {}
    options[1] = options[1] or "a"
    return db:enqueue(options)
  end

  local function failed(options)
    local id = enqueue(options)
    w:finish(w:claim_one(), "failed", { error = "boom\nin run" })
    return id
  end

  local function codes(id)
    local list = {}
    for i, row in ipairs(db:query("select code from jobq.why($1)", id)) do
      list[i] = row.code
    end
    return list
  end

  local function words(id)
    return db:value("select words from jobq.why($1)", id)
  end

  describe("many are retried", function()
    it("each a gap later, those that cannot be are passed over", function()
      local ids = { failed(), enqueue { delay = "1 hour" }, failed { unique_key = "k" }, failed() }
      enqueue { unique_key = "k" }
      assert.same({ ids[1], ids[4] }, db:value([[select array_agg(r order by r)
        from jobq.retry_many($1::bigint[], '10 s', '1 min') r]], ids))
      assert.is_true(db:value([[select abs(extract(epoch from run_at - now()) - 190) < 5
        from jobq.find($1)]], ids[4]))
      assert.equal("failed", db:job(ids[3]).status)
    end)

    it("with so many attempts more", function()
      local id = failed { max_attempts = 1 }
      db:query("select jobq.retry_many($1::bigint[], attempts => 4)", { id })
      assert.equal(5, db:job(id).max_attempts)
      local _, message = db:try "select jobq.retry_many('{1}', attempts => 0)"
      assert.equal("attempts 0 is out of range, expected 1 to 1000", message)
      _, message = db:try "select jobq.retry_many('{1}', gap => '-1 s')"
      assert.equal("delay -00:00:01 is negative", message)
    end)

    it("wakes who sleeps", function()
      local id = failed()
      w:ask "listen_jobs"
      w:ask("fall_asleep", w.id, w:lanes())
      db:query("select jobq.retry_many($1::bigint[])", { id })
      assert.matches("^lane %d+$", w:heard(5)[1] or "nothing")
    end)
  end)

  describe("a reason for cancelling becomes the error", function()
    it("of a waiting job", function()
      local id = enqueue { delay = "1 hour" }
      assert.same({ { id = id, status = "cancelled" }, { id = 999 } },
        db:query("select * from jobq.cancel_many($1::bigint[], 'not needed')", { id, 999 }))
      assert.equal("not needed", db:job(id).error)
    end)

    it("of a running one, whatever its handler said", function()
      local id = enqueue()
      local job = w:claim_one()
      assert.equal("processing", db:value("select jobq.cancel($1, 'wrong customer')", id))
      w:finish(job, "cancelled", { error = "stopped" })
      assert.equal("wrong customer", db:job(id).error)
    end)

    it("else it is what its handler said", function()
      local id = enqueue()
      local job = w:claim_one()
      db:query("select jobq.cancel($1)", id)
      w:finish(job, "cancelled", { error = "stopped" })
      assert.equal("stopped", db:job(id).error)
    end)
  end)

  describe("a job is edited", function()
    local function edit(id, more)
      return db:try(("select jobq.edit($1, %s) as status"):format(more), id)
    end

    it("while it waits", function()
      local id = enqueue { delay = "1 hour", args = '{"n": 1}' }
      local more = [[args => '{"n": 2}', priority => 1, run_at => now()]]
      assert.equal("pending", edit(id, more)[1].status)
      local job = db:job(id)
      assert.same({ '{"n": 2}', 1 }, { job.args, job.priority })
      assert.equal(id, w:claim_one().id)
    end)

    it("after it failed, but not its time", function()
      local id = failed { args = '{"n": 1}' }
      assert.equal("failed", edit(id, [[args => '{"n": 2}', priority => 0]])[1].status)
      assert.same({ '{"n": 2}', 0 }, { db:job(id).args, db:job(id).priority })
      local _, message = edit(id, "run_at => now()")
      assert.matches("is failed, only a pending one has a time to run at", message)
    end)

    it("neither while it runs nor once it is done", function()
      local id = enqueue { args = '{"n": 1}' }
      local job = w:claim_one()
      assert.equal("processing", edit(id, "args => '{}'")[1].status)
      w:finish(job, "completed")
      assert.equal("completed", edit(id, "args => '{}'")[1].status)
      assert.equal('{"n": 1}', db:job(id).args)
      assert.is_nil(edit(999, "args => '{}'")[1].status)
    end)

    it("only if it is still what was seen", function()
      local id = enqueue { delay = "1 hour", args = '{"n": 1}' }
      local _, message, sqlstate = edit(id, [[args => '{}', was => '{"n": 7}']])
      assert.same({ ("job %d changed meanwhile"):format(id), "55000" }, { message, sqlstate })
      assert.equal('{"n": 1}', db:job(id).args)
      assert.equal("pending", edit(id, [[args => '{}', was => '{"n": 1}']])[1].status)
    end)

    it("and bad values are named", function()
      local id = enqueue { delay = "1 hour" }
      assert.matches("^priority 12 is out of range", (select(2, edit(id, "priority => 12"))))
      assert.matches("expected a JSON object", (select(2, edit(id, "args => '[1]'"))))
      assert.matches("run_at infinity", (select(2, edit(id, "run_at => 'infinity'"))))
    end)

    it("wakes who sleeps", function()
      local id = enqueue { delay = "1 hour" }
      w:ask "listen_jobs"
      w:ask("fall_asleep", w.id, w:lanes())
      edit(id, "run_at => now()")
      assert.matches("^lane %d+$", w:heard(5)[1] or "nothing")
    end)
  end)

  describe("why a job does not run:", function()
    it("there is none", function()
      assert.same({}, codes(999))
    end)

    it("nothing keeps it", function()
      assert.same({ "soon" }, codes(enqueue()))
    end)

    it("others come first", function()
      enqueue()
      enqueue()
      assert.equal('2 due jobs of queue "default" come before it', words(enqueue()))
    end)

    it("it is scheduled", function()
      assert.matches("^it is scheduled for .* UTC, in 59m$", words(enqueue { delay = "1 hour" }))
    end)

    it("it failed and is tried again", function()
      local id = enqueue()
      w:finish(w:claim_one(), "retry", { error = "http 503\nin run", delay_ms = 60000 })
      assert.equal("attempt 1 of 3 failed, the next is in 59s: http 503", words(id))
    end)

    it("it put itself off", function()
      local id = enqueue()
      w:finish(w:claim_one(), "snooze", { delay_ms = 60000 })
      assert.same({ "snoozed" }, codes(id))
    end)

    it("all workers are busy", function()
      local id = enqueue()
      db:query "update jobq.worker set running = concurrency"
      assert.matches("^all workers that could run it %(1%) are busy, with %d+ jobs$", words(id))
    end)

    it("the only worker is silent", function()
      local id = enqueue()
      db:query "update jobq.worker set seen_at = now() - interval '3 min'"
      assert.equal("the workers that could run it (1) have been silent for 3m", words(id))
    end)

    it("nobody lives", function()
      local id = enqueue { delay = "1 hour" }
      db:query "update jobq.worker set state = 'stopped'"
      assert.same({ "no_worker", "scheduled" }, codes(id))
    end)

    it("nobody serves its queue, or knows its kind, or both", function()
      assert.same({ words = 'no living worker knows kind "b"',
        hint = "jobq kinds lists those that are known" },
        db:row("select words, hint from jobq.why($1)", enqueue { "b" }))
      db:query [[update jobq.worker set load_error = 'b.lua:1: oops
        in main']]
      assert.equal("worker spec could not load its handlers: b.lua:1: oops",
        (db:value("select replace(hint, (select name from jobq.worker), 'spec') from jobq.why($1)",
          enqueue { "b" })))
      db:query "update jobq.worker set queues = '{mail}'"
      assert.equal('no living worker serves queue "default"', words(enqueue()))
      protocol.worker(db, { kinds = { "b" } })
      assert.equal('the workers that know kind "a" do not serve queue "default"', words(enqueue()))
    end)

    it("it runs, on a worker that is silent, and was asked to stop", function()
      local id = enqueue()
      w:claim_one()
      assert.same({ "processing" }, codes(id))
      db:query "update jobq.worker set seen_at = now() - interval '3 min'"
      db:query("select jobq.cancel($1)", id)
      assert.same({ "processing", "silent", "asked_to_stop" }, codes(id))
    end)

    it("it has ended, and its key is another's", function()
      local id = failed { unique_key = "k" }
      assert.matches("^it failed .* ago: boom$", words(id))
      assert.equal(("jobq retry %d runs it again"):format(id),
        db:value("select hint from jobq.why($1)", id))
      local holder = enqueue { unique_key = "k" }
      assert.equal(([[its unique key "k" is held by job %d: it cannot be retried before that ends]]
        ):format(holder), db:query("select words from jobq.why($1)", id)[2].words)
    end)
  end)
end)
