local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("looking", function()
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

  -- One job in each of the five statuses: their ids.
  local function five()
    local ids = {}
    for _, word in ipairs { "completed", "failed", "cancelled" } do
      ids[word] = enqueue { tags = { word } }
      w:finish(w:claim_one(), word, { result = word == "completed" and '{"ok": true}' or nil })
    end
    ids.processing = enqueue { tags = { "processing" } }
    w:claim_one()
    ids.pending = enqueue { tags = { "pending" }, delay = "1 hour" }
    return ids
  end

  local function plan_of(sql)
    local lines = {}
    for i, row in ipairs(db:query("explain " .. sql)) do
      lines[i] = row["QUERY PLAN"]
    end
    return table.concat(lines, "\n")
  end

  it("shows each job once, with one of five statuses", function()
    local ids = five()
    assert.equal(5, db:value "select count(*) from jobq.job")
    for status, id in pairs(ids) do
      assert.equal(id, db:value("select id from jobq.job where status = $1::text", status))
      assert.equal(status, db:value("select status from jobq.job where id = $1", id))
      assert.equal(status, db:job(id).status)
      assert.same({ status }, db:job(id).tags)
    end
    assert.equal(2, db:value "select count(*) from jobq.job where status in ('failed', 'pending')")
    assert.equal(2, db:value("select count(*) from jobq.job where status = any ($1::text[])",
      { "failed", "pending" }))
    assert.equal("true", db:value "select result ->> 'ok' from jobq.job where status = 'completed'")
  end)

  it("finds the same by id as in the list, column for column", function()
    for _, id in pairs(five()) do
      assert.same(db:row("select * from jobq.job where id = $1", id),
        db:row("select * from jobq.find($1)", id))
    end
    assert.same({}, db:query "select * from jobq.find(999)")
  end)

  it("reads only what a status needs", function()
    local plan = plan_of "select * from jobq.job where status = 'failed' order by id desc limit 20"
    assert.matches("finished_failed", plan, 1, true)
    for _, other in ipairs { "ready", "lease", "finished_completed", "finished_cancelled" } do
      assert.is_nil(plan:find(other, 1, true), plan)
    end
  end)

  it("lists by id without sorting what it does not show", function()
    db:query "select jobq.enqueue_many('a', array_fill('{}'::jsonb, array[5000]))"
    db:query "analyze jobq.ready"
    local plan = plan_of "select * from jobq.job order by id desc limit 20"
    assert.matches("Merge Append", plan, 1, true)
    assert.matches("Index Scan Backward using ready_id", plan, 1, true)
    assert.is_nil(plan:find("Seq Scan on ready", 1, true), plan)
  end)

  it("meets a job that moves on in the next place", function()
    local id = enqueue()
    w:sql "begin"
    local job = w:claim_one()
    assert.equal("pending", db:job(id).status)
    w:sql "commit"
    assert.equal("processing", db:job(id).status)
    w:finish(job, "completed")
    assert.equal("completed", db:job(id).status)
  end)

  describe("at statistics", function()
    local function stats(since)
      local found = {}
      for _, row in ipairs(db:query(("select * from jobq.stats(%s)"):format(since or ""))) do
        found[row.kind .. " " .. row.status] = row
      end
      return found
    end

    it("counts by queue, kind and status", function()
      five()
      enqueue()
      local s = stats()
      assert.same({ 2, 1, 1, 1, 1 }, {
        s["a pending"].jobs, s["a processing"].jobs, s["a completed"].jobs, s["a failed"].jobs,
        s["a cancelled"].jobs,
      })
      assert.equal("default", s["a failed"].queue)
      assert.is_true(s["a failed"].known)
    end)

    it("says when nobody runs a kind", function()
      enqueue { "unheard.of" }
      enqueue { "a", queue = "mail" }
      assert.is_false(stats()["unheard.of pending"].known)
      assert.is_true(stats()["a pending"].known)
      w:ask("stop", w.id)
      assert.is_false(stats()["a pending"].known)
      protocol.worker(db, { kinds = { "a" }, queues = { "default" } })
      assert.is_false(stats()["a pending"].known)
    end)

    it("means the mean of jobs, whatever lanes they were in", function()
      for _ = 1, 4 do
        enqueue()
        w:claim_one()
      end
      db:query "update jobq.lease set claimed_at = now() - interval '1 hour'"
      for seq = 1, 4 do
        w:settle { { { seq = seq, slot = 1 }, "completed", ran_us = seq * 1000000 } }
      end
      db:query "update jobq.finished set lane_id = (select max(id) from jobq.lane) where id = 1"
      assert.near(2.5, stats()["a completed"].mean_seconds, 0.01)
    end)

    it("leaves out history before the time asked for", function()
      enqueue()
      w:finish(w:claim_one(), "completed")
      assert.is_nil(stats("now() + interval '1 s'")["a completed"])
    end)
  end)

  it("at workers shows what they are and do", function()
    enqueue()
    enqueue()
    w:finish(w:claim(2)[1], "completed")
    w:ask("heartbeat", w.id, 3, 2, 1, 4, 5000)
    local row = db:row "select * from jobq.worker_status"
    assert.same({ "spec", "host", "running", 3, 2, 1, 4, 5000, 100, 1, "0.1.0" }, {
      row.name, row.host, row.state, row.processed, row.succeeded, row.failed, row.running,
      row.rss_kb, row.concurrency, row.claimed, row.version,
    })
    assert.same({ "a" }, row.kinds)
    w:ask("report_load", w.id, "handlers/a.lua:3: unexpected symbol")
    assert.equal("handlers/a.lua:3: unexpected symbol",
      db:value "select load_error from jobq.worker_status")
    w:ask("report_load", w.id, "")
    assert.is_nil(db:value "select load_error from jobq.worker_status")
    assert.is_true(db:value "select silent_for between '0' and '1 minute' from jobq.worker_status")
  end)

  it("is told to all workers when handlers are to be loaded again", function()
    w:ask "listen_control"
    assert.equal(1, db:value "select jobq.reload()")
    assert.same({ "reload" }, w:heard(5))
  end)

  it("at logs shows lines with level, fields and the database's time", function()
    local id = enqueue()
    w:ask("write_logs", { id, id, id, id }, { 1, 1, 1, 2 }, { 4000000, 3000000, -5, 0 },
      { 0, 1, 2, 3 }, { "one", "two\n'\"", "three", "" }, { "", '{"n": 1}', "", "" })
    local rows = db:query([[select attempt, level, message, fields from jobq.log
      where job_id = $1 order by at, attempt]], id)
    assert.same({
      { attempt = 1, level = "debug", message = "one" },
      { attempt = 1, level = "info", message = "two\n'\"", fields = '{"n": 1}' },
      { attempt = 1, level = "warn", message = "three" },
      { attempt = 2, level = "error", message = "" },
    }, rows)
    assert.is_true(db:value
      "select max(at) <= now() and min(at) < now() - interval '3 s' from jobq.log")
  end)

  describe("for the end of all work", function()
    local function drained()
      return w:value("drained", w.id)
    end

    it("there is none when nothing was ever there", function()
      assert.is_true(drained())
    end)

    it("sees waiting, running and repeated jobs", function()
      enqueue()
      assert.is_false(drained())
      local job = w:claim_one()
      assert.is_false(drained())
      w:finish(job, "retry", { delay_ms = 3600000 })
      assert.is_false(drained())
      db:query "update jobq.ready set run_at = now()"
      w:finish(w:claim_one(), "completed")
      assert.is_true(drained())
    end)

    it("sees snoozed jobs", function()
      enqueue()
      w:finish(w:claim_one(), "snooze", { delay_ms = 3600000 })
      assert.is_false(drained())
    end)

    it("does not wait for what its creator scheduled, other kinds or other queues", function()
      enqueue { delay = "1 hour" }
      enqueue { "unheard.of" }
      assert.is_true(drained())
      local narrow = protocol.worker(db, { kinds = { "a" }, queues = { "default" } })
      enqueue { queue = "mail" }
      assert.is_true(narrow:value("drained", narrow.id))
      assert.is_false(drained())
    end)

    it("sees what another worker runs", function()
      local other = protocol.worker(db, { kinds = { "a" } })
      enqueue()
      local job = other:claim_one()
      assert.is_false(drained())
      other:finish(job, "completed")
      assert.is_true(drained())
    end)
  end)
end)
