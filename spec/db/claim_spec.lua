local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("claiming", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a", "b" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function enqueue(options)
    options = options or {}
    options[1] = options[1] or "a"
    return db:enqueue(options)
  end

  -- One at a time, so that the database's order shows, not the helper's.
  local function claim_singly()
    local ids = {}
    repeat
      local jobs = w:claim(1)
      table.insert(ids, jobs[1] and jobs[1].id)
    until #jobs == 0
    return ids
  end

  it("takes lower priorities first, then what was due first, then what came first", function()
    local last = enqueue { priority = 9 }
    local b1 = enqueue { "b" }
    local a2 = enqueue {}
    local due = enqueue { run_at = "2020-01-01 00:00:00+00" }
    local first = enqueue { priority = 0 }
    db:query("update jobq.ready set run_at = '2021-01-01' where id = any ($1)", { b1, a2 })
    assert.same({ first, due, b1, a2, last }, claim_singly())
  end)

  it("keeps the order within one claim", function()
    for i = 1, 40 do
      enqueue { priority = (i * 7) % 10 }
    end
    local expected = protocol.ids(
      db:query "select id from jobq.ready order by priority, run_at, id")
    assert.same({ table.unpack(expected, 1, 25) }, protocol.ids(w:claim(25)))
    assert.same({ table.unpack(expected, 26) }, protocol.ids(w:claim(25)))
  end)

  it("answers all that a run needs to know", function()
    w:declare { { "a", max_attempts = 8, priority = 2 }, "b" }
    local id = enqueue { args = '{"n": 9223372036854775807}', timeout = "1.5 s", tags = { "t" } }
    local job = w:claim_one()
    assert.same({ 1, 1, id, w.kinds.a, 2, 0, 8, 1.5, '{"n": 9223372036854775807}', false }, {
      job.seq, job.slot, job.id, job.kind_id, job.priority, job.attempt, job.max_attempts,
      job.timeout_s, job.args, job.cancelled,
    })
    assert.matches('"tags": ["t"]', job.meta, 1, true)
    assert.same(job, w:ask("claimed", w.id, 1)[1])
    assert.same({}, w:ask("claimed", w.id, 2))
  end)

  it("leaves jobs that are not due, and those whose time comes are taken", function()
    local later = enqueue { delay = "1 hour" }
    assert.same({}, w:claim())
    db:query("update jobq.ready set run_at = now() where id = $1", later)
    assert.equal(later, w:claim_one().id)
  end)

  it("never takes a kind that the worker cannot run, even out of a lane that it shares", function()
    enqueue { "b" }
    db:query "update jobq.ready set kind_id = 999"
    local mine = enqueue { "a" }
    assert.same({ mine }, protocol.ids(w:claim()))
  end)

  it("goes on behind its cursor", function()
    local ids = {}
    for i = 1, 5 do
      ids[i] = enqueue()
    end
    local lane = db:value "select lane_id from jobq.ready limit 1"
    local cursor = db:row("select run_at, id from jobq.ready where id = $1", ids[2])
    local jobs = w:claim(10, { levels = { { lane, 5, cursor.run_at, cursor.id } } })
    assert.same({ ids[3], ids[4], ids[5] }, protocol.ids(jobs))
    assert.same({ ids[1], ids[2] }, protocol.ids(w:claim(10)))
  end)

  it("packs jobs into leases with numbers in a row", function()
    for _ = 1, 5 do
      enqueue()
    end
    w.seq = 7
    w:claim(5, { size = 2 })
    assert.same({ { seq = 7, n = 2 }, { seq = 8, n = 2 }, { seq = 9, n = 1 } },
      db:query "select seq, n from jobq.lease order by seq")
    assert.equal(10, w.seq)
  end)

  it("fills no lease with more than about 4 MiB of arguments", function()
    db:query [[select jobq.enqueue('a', jsonb_build_object('x', repeat('x', 1000000)))
      from generate_series(1, 10)]]
    assert.equal(10, #w:claim(10))
    assert.is_true(db:value "select max(n) <= 5 and count(*) <= 4 from jobq.lease")
  end)

  it("gives each suspect a lease of its own", function()
    for _ = 1, 6 do
      enqueue()
    end
    local jobs = w:claim(6)
    w:settle {
      { jobs[1], "return" }, { jobs[2], "suspect" }, { jobs[3], "retry" }, { jobs[4], "suspect" },
    }
    local again = w:claim(6)
    assert.same({ 1, 1, 2 },
      db:value "select array_agg(n order by n) from jobq.lease where seq > 1")
    for _, job in ipairs(again) do
      local suspect = job.id == jobs[2].id or job.id == jobs[4].id
      assert.equal(suspect, (job.meta or ""):find('"suspect": true', 1, true) ~= nil)
    end
  end)

  it("refuses a lease number that exists, and takes nothing", function()
    enqueue()
    w:claim_one()
    enqueue()
    w.seq = 1
    local _, _, sqlstate = w:try("claim", w:claim_arguments(1))
    assert.equal("23505", sqlstate)
    assert.equal(1, db:value "select count(*) from jobq.ready")
  end)

  it("passes over what another claim is just taking", function()
    for _ = 1, 6 do
      enqueue()
    end
    local other = protocol.worker(db, { kinds = { "a", "b" } })
    w:sql "begin"
    local mine = protocol.ids(w:claim(3))
    local theirs = protocol.ids(other:claim(6))
    w:sql "commit"
    assert.equal(3, #mine)
    assert.equal(3, #theirs)
    assert.is_true(mine[3] < theirs[1])
  end)

  it("waits for no caller who cancels or changes a job", function()
    local held = enqueue()
    local free = enqueue()
    local person = db:connect()
    assert(person:query "begin")
    assert(person:query("select jobq.cancel($1)", held))
    assert.same({ free }, protocol.ids(w:claim(2)))
    assert(person:query "rollback")
    assert.same({ held }, protocol.ids(w:claim(2)))
  end)

  it("gives each of 600 jobs to one of six workers that claim at once", function()
    db:query "select jobq.enqueue_many('a', array_fill('{}'::jsonb, array[600]))"
    local workers, seen, total = { w }, {}, 0
    for i = 2, 6 do
      workers[i] = protocol.worker(db, { kinds = { "a", "b" } })
    end
    local dry = 0
    while dry < 6 do
      dry = 0
      for _, each in ipairs(workers) do
        each:send("claim", each:claim_arguments(7, { size = 3 }))
      end
      for _, each in ipairs(workers) do
        local jobs = each:take(assert(each:result()))
        dry = dry + (#jobs == 0 and 1 or 0)
        for _, job in ipairs(jobs) do
          assert.is_nil(seen[job.id])
          seen[job.id] = true
          total = total + 1
        end
      end
    end
    assert.equal(600, total)
    assert.equal(600, db:value "select sum(n) from jobq.lease")
  end)

  it("is undone whole when its transaction is", function()
    local id = enqueue()
    w:sql "begin"
    assert.equal(1, #w:claim())
    w:sql "rollback"
    assert.equal("pending", db:job(id).status)
  end)

  it("does not wait for the disk, in its own transaction only", function()
    enqueue()
    w:claim_one()
    assert.equal("on", w:sql("show synchronous_commit")[1].synchronous_commit)
  end)

  it("marks what somebody wants cancelled", function()
    local id = enqueue()
    db:query("insert into jobq.cancel_request values ($1)", id)
    assert.is_true(w:claim_one().cancelled)
  end)

  it("reads no scheduled job: its plan is by index, level by level", function()
    local plan = w:plan("claim", "(1, 1, 10, 64, '{1}', '{5}', '{-infinity}', '{0}', '{1}')")
    assert.matches("Index Scan using ready_order", plan, 1, true)
    assert.is_nil(plan:find("Seq Scan on ready", 1, true), plan)
    assert.is_nil(plan:find("Sort Key: r.run_at", 1, true), plan)
  end)
end)
