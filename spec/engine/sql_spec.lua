local uv = require "luv"
local engine = require "support.engine"
local proxy = require "support.proxy"
local samples = require "support.samples"

describe("jobq.sql in a worker", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
    db:query "create table effect (job_id bigint)"
  end)

  -- A line for each run, in the notes, then what the kind does.
  local function kind(body, options)
    return ([[{
      %s
      run = function(job)
        local file = assert(io.open(job.args.file, "a"))
        file:write(job.id, "\n")
        file:close()
        %s
      end,
    }]]):format(options or "", body)
  end

  local texts = { ["t.lua"] = ([[
    local jobq = require "jobq"

    local function wait_for(path)
      while not io.open(path) do
        jobq.sleep(0.005)
      end
    end

    --- The effect, a pause in the first run if the args say so, and the end of the job.
    local function work(job)
      return jobq.sql.transaction(function(tx)
        assert(tx:query("insert into effect values ($1)", job.id))
        if job.args.pause and job.attempt == 1 then
          local file = assert(io.open(job.args.file .. ".open", "w"))
          file:close()
          wait_for(job.args.file .. ".go")
        end
        tx:complete { attempt = job.attempt }
      end)
    end

    return {
      plain = %s, careless = %s, late = %s, held = %s, slow = %s, limits = %s, crowd = %s,
      parent = %s,
    }]]):format(
    kind("return work(job)", "retry_delay = 0,"),
    kind("pcall(work, job) return jobq.done { careless = true }", "retry_delay = 0,"),
    kind("work(job) error 'too late'"),
    kind("work(job) jobq.sleep(60)"),
    kind("return jobq.sql.query 'select pg_sleep(60)'"),
    kind([[return jobq.done {
      jobq.sql.value "show statement_timeout",
      jobq.sql.value "show idle_in_transaction_session_timeout",
    }]], "timeout = 7,"),
    kind([[return jobq.done(jobq.sql.value(
      "select count(*) from pg_stat_activity, pg_sleep(0.02) "
        .. "where datname = current_database() and application_name = 'jobq-run job'"))]]),
    kind([[jobq.enqueue("t.plain", job.args)
      jobq.sql.transaction(function(tx) tx:enqueue_many("t.plain", { job.args, job.args }) end)
      jobq.sql.transaction(function(tx) tx:enqueue("t.plain", job.args) return nil, "no" end)]])) }

  local function enqueue(name, args)
    return db:enqueue { "t." .. name, args = notes:args(args) }
  end

  local function effects(id)
    return db:value("select count(*) from effect where job_id = $1", id)
  end

  local function says_nothing_of(worker, text)
    assert.is_nil(worker:errors():find(text, 1, true))
  end

  local function no_session_left(state)
    db:wait_until("no session is " .. state, [[
      select not exists (select from pg_stat_activity
        where datname = current_database() and application_name = 'jobq-run job'
          and state like $1)]], state)
  end

  describe("completing the job", function()
    it("is one commit with its effect", function()
      local w = engine.worker(db, texts, { executors = 1 })
      local ids = {}
      for i = 1, 20 do
        ids[i] = enqueue "plain"
      end
      for _, id in ipairs(ids) do
        local job = db:wait_for(id, "completed")
        assert.equal('{"attempt": 1}', (job.result:gsub('":1', '": 1')))
        assert.equal(1, job.attempt)
        assert.equal(1, effects(id))
        assert.is_true(db:value(
          "select started_at between created_at and finished_at from jobq.job where id = $1", id))
      end
      db:wait_until("the leases are gone", "select count(*) = 0 from jobq.lease")
      assert.equal(0, w:stop())
      assert.equal(20, #notes:read())
      assert.equal(20, db:value("select succeeded from jobq.worker where id = $1", w.id))
      says_nothing_of(w, "came too late")
    end)

    it("holds, whatever the run does afterwards", function()
      local w = engine.worker(db, texts, { executors = 1 })
      local id = enqueue "late"
      local message = "a run did not end well after it had completed its job"
      local line = w:expect(message, { job_id = id })
      assert.matches("too late", line.error)
      assert.equal("completed", db:job(id).status)

      local held = enqueue "held"
      db:wait_for(held, "completed")
      uv.kill(w:executors()[1], "sigkill")
      db:wait_for(enqueue "plain", "completed")
      assert.equal("completed", db:job(held).status)
      assert.equal(1, effects(held))
      assert.equal(0, w:stop())
    end)

    it("fails with its effect when the job is no longer the run's", function()
      local w = engine.worker(db, texts, { executors = 1, poll_interval = "60s" })
      local id = enqueue("plain", { pause = true })
      w:wait_until(function() return io.open(notes.path .. ".open") end, "an open transaction")
      db:query [[
        select jobq.settle(worker_id, array[seq], array[1]::smallint[], array['return'],
          delay_ms => array[3600000])
        from jobq.lease]]
      notes:go()
      local line = w:expect("job failed", { job_id = id })
      assert.matches("the job is no longer this run's", line.error)
      assert.matches("JQ001", line.error)
      assert.equal("pending", db:job(id).status)
      assert.equal(0, effects(id))
      assert.equal(0, w:stop())
    end)
  end)

  describe("a COMMIT whose answer is lost", function()
    -- What is cut, and how many runs it takes. Execute comes twice, for the completion and the
    -- COMMIT; the server acts on each at once, Sync or not.
    local cuts = {
      { "b Z before", "all is done, ReadyForQuery is lost", 1 },
      { "b C before", "the first CommandComplete is lost", 1 },
      { "b D before", "the row of the completion is lost", 1 },
      { "f S after", "the client's end is cut behind Sync" },
      { "f S before", "Sync is lost" },
      { "f P after", "the rest is lost behind Parse", 2 },
      { "f E before", "the completion is lost", 2 },
    }
    for _, name in ipairs { "plain", "careless" } do
      for _, cut in ipairs(cuts) do
        it(("leaves one effect: %s, %s"):format(name, cut[2]), function()
          local dir = engine.handlers({}).path -- a folder that goes with the spec
          local line = proxy.open(dir:sub(1, -2), db.dsn:match "host=(%S+)", { "handler" })
          local w = engine.worker(db, texts, {
            executors = 1, set = "database.default=" .. line:dsn(db.dsn, "handler"),
          })
          local id = enqueue(name, { pause = true })
          w:wait_until(function() return io.open(notes.path .. ".open") end, "an open transaction")
          line:order("cut", "handler", cut[1])
          line:order("say", "handler", "obeyed")
          line:wait_for "obeyed"
          notes:go()
          line:wait_for "cut handler"
          local job = db:wait_for(id, "completed")
          db:wait_until("the lease is gone", "select count(*) = 0 from jobq.lease")
          assert.equal(1, effects(id))
          assert.is_nil(job.result:find("careless", 1, true))
          assert.equal(job.attempt, #notes:read())
          assert.equal(cut[3] or job.attempt, job.attempt)
          assert.equal(0, w:stop())
          line:close()
        end)
      end
    end
  end)

  it("stops the statement of a job that is cancelled, and leaves no transaction open", function()
    local w = engine.worker(db, texts, { executors = 1 })
    local slow, paused = enqueue "slow", enqueue("plain", { pause = true })
    w:wait_until(function() return io.open(notes.path .. ".open") end, "an open transaction")
    db:wait_until("a statement runs", [[
      select exists (select from pg_stat_activity where query like '%pg_sleep(60)%'
        and state = 'active' and application_name = 'jobq-run job')]])
    for _, id in ipairs { slow, paused } do
      db:query("select jobq.cancel($1::bigint)", id)
      db:wait_for(id, "cancelled")
    end
    no_session_left "active"
    no_session_left "idle in transaction%"
    assert.equal(0, effects(paused))
    assert.equal(0, w:stop())
  end)

  it("tells the server for how long the run may go on", function()
    local w = engine.worker(db, texts, { executors = 1 })
    local job = db:wait_for(enqueue "limits", "completed")
    assert.matches('^%["7s", ?"17s"%]$', job.result)
    assert.equal(0, w:stop())
  end)

  it("uses no more connections than it may, and closes none of a busy pool", function()
    local w = engine.worker(db, texts, {
      executors = 1, set = "database.default.connections=3",
    })
    local ids = {}
    for i = 1, 30 do
      ids[i] = enqueue "crowd"
    end
    local most = 0
    for _, id in ipairs(ids) do
      most = math.max(most, tonumber(db:wait_for(id, "completed").result))
    end
    assert.is_true(most >= 2 and most <= 3, "there were " .. most)
    assert.equal(0, w:stop())
  end)

  it("enqueues, at once or with a transaction", function()
    local w = engine.worker(db, texts, { executors = 1 })
    db:wait_for(enqueue "parent", "completed")
    db:wait_until("three children are done",
      "select count(*) = 3 from jobq.job where kind = 't.plain' and status = 'completed'")
    assert.equal(3, db:value "select count(*) from jobq.job where kind = 't.plain'")
    assert.equal(0, w:stop())
  end)
end)
