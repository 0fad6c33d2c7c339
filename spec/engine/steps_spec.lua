--- Durable steps in real workers: what is done once, what survives, what frees its slot.
local engine = require "support.engine"
local proxy = require "support.proxy"
local samples = require "support.samples"
local uv = require "luv"

local HANDLERS = [[
local jobq = require "jobq"

local function note(job, text)
  local file = assert(io.open(job.args.file, "a"))
  file:write(text, "\n")
  file:close()
end

local function wait_for(path)
  while not io.open(path) do
    jobq.sleep(0.005)
  end
end

local function effect(job)
  return function(tx)
    jobq.must(tx:query("insert into effect values ($1)", job.id))
    if job.args.pause and job.attempt == 1 then
      note(job, "open")
      wait_for(job.args.file .. ".go")
    end
    return { job = job.id }
  end
end

return {
  two = { retry_delay = 0, run = function(job)
    local first = jobq.step("first", function() note(job, "first") return { n = 1, s = "x" } end)
    note(job, "between")
    wait_for(job.args.file .. ".go")
    local each = {}
    for i = 1, 3 do
      each[i] = jobq.step("each", i, function() note(job, "each " .. i) return i * i end)
    end
    jobq.step("nothing", function() end)
    return jobq.done { first = first, each = each }
  end },

  failing = { retry_delay = 0, run = function(job)
    jobq.step("once", function() note(job, "once") end)
    local value, why = jobq.step("told", function()
      note(job, "told")
      if job.attempt == 1 then return nil, "not yet" end
      return 7
    end)
    if not value then return nil, why end
    pcall(jobq.step, "raised", function() note(job, "raised") error "no" end)
    return jobq.done(jobq.step("raised", function() note(job, "again") return "well" end))
  end },

  wrong = { max_attempts = 1, run = function(job)
    local wrong = {
      twice = function() jobq.step("a", note) jobq.step("a", note) end,
      inside = function() jobq.step("a", function() jobq.step("b", note) end) end,
      verdict = function() jobq.step("a", function() return jobq.done(1) end) end,
      value = function() jobq.step("a", function() return { f = print } end) end,
      large = function() jobq.step("a", function() return ("x"):rep(1 << 20) end) end,
      name = function() jobq.step("", note) end,
      parallel = function()
        jobq.must(jobq.parallel { function() jobq.wait_event "e" end })
      end,
      option = function() jobq.wait_event("e", { timout = 1 }) end,
    }
    note = function() end
    wrong[job.args.what]()
  end },

  tx = { retry_delay = 0, run = function(job)
    local value = jobq.must(jobq.step_tx("effect", effect(job)))
    return jobq.done(value)
  end },

  rolled_back = { retry_delay = 0, run = function(job)
    local ok, why = jobq.step_tx("effect", function(tx)
      jobq.must(tx:query("insert into effect values ($1)", job.id))
      return nil, "changed my mind"
    end)
    return jobq.done { why, jobq.sql.value "select count(*) from effect" }
  end },

  pages = { retry_delay = 0, run = function(job)
    local from = job:last_checkpoint() or { page = 1 }
    for page = from.page, 4 do
      note(job, page)
      job:checkpoint { page = page + 1 }
      if page == 2 and job.attempt == 1 then error "boom" end
    end
    return jobq.done(job:last_checkpoint())
  end },

  event = { run = function(job)
    jobq.step("ask", function() note(job, "ask") end)
    local closed <close> = setmetatable({}, { __close = function() note(job, "left") end })
    local ok, event, why = pcall(jobq.wait_event, job.args.event, { timeout = job.args.timeout })
    note(job, "behind")
    return jobq.done { event = event, why = why, ok = ok }
  end },

  emits = { run = function(job)
    local news = { jobq.emit(job.args.event, { n = 1 }, { id = "1" }),
      jobq.emit(job.args.event, { n = 2 }, { id = "1" }) }
    jobq.sql.transaction(function(tx) tx:emit("lost", 1) return nil, "no" end)
    return jobq.done(news)
  end },

  naps = { run = function(job)
    note(job, "run")
    jobq.sleep_until("past", 0)
    jobq.sleep_until("short", os.time() + 1)
    jobq.sleep_until("long", os.time() + 3600)
    return jobq.done "rested"
  end },
}
]]

describe("durable steps in a worker", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
    db:query "create table effect (job_id bigint)"
  end)

  local function start(options)
    options = options or {}
    options.executors = options.executors or 1
    return engine.worker(db, { ["t.lua"] = HANDLERS }, options)
  end

  local function enqueue(name, args)
    return db:enqueue { "t." .. name, args = notes:args(args) }
  end

  local function json(text)
    return require("jobq.json").decode(text)
  end

  local function parked(id)
    db:wait_until("the job is parked",
      "select exists (select from jobq.parked where job_id = $1)", id)
    db:wait_until("its lease is gone", "select count(*) = 0 from jobq.lease")
  end

  local DONE = { "each 1", "each 2", "each 3" }

  local function ends_well(id, w, before)
    notes:go()
    local job = db:wait_for(id, "completed")
    assert.same({ first = { n = 1, s = "x" }, each = { 1, 4, 9 } }, json(job.result))
    assert.same(before, { table.unpack(notes:read(), 1, #before) })
    assert.same(DONE, { table.unpack(notes:read(), #before + 1) })
    assert.equal(5, db:value("select count(*) from jobq.steps($1)", id))
    assert.equal(0, w:stop())
  end

  -- Keeping a step waits until we let go.
  local SLOW_STEP = [[
    create function public.wait() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock_shared(7); return new; end $$;
    create trigger wait before insert on jobq.step for each row execute function public.wait();
    select pg_advisory_lock(7)]]

  it("are done once, in order, and their results are those of JSON", function()
    local w = start()
    local id = enqueue "two"
    notes:wait_for(2, w)
    assert.equal('{"n":1,"s":"x"}', db:value("select value::text from jobq.steps($1)", id))
    ends_well(id, w, { "first", "between" })
  end)

  it("are behind a run whose executor was killed", function()
    local w = start()
    local id = enqueue "two"
    notes:wait_for(2, w)
    uv.kill(w:executors()[1], "sigkill")
    notes:wait_for(3, w)
    ends_well(id, w, { "first", "between", "between" })
  end)

  it("are behind a run whose worker was killed", function()
    local w = start()
    local id = enqueue "two"
    notes:wait_for(2, w)
    w:kill()
    db:query "update jobq.worker set seen_at = now() - interval '1 hour'"
    w = start()
    notes:wait_for(3, w)
    ends_well(id, w, { "first", "between", "between" })
  end)

  it("keep nothing of what raised, or gave nil and a message", function()
    local w = start()
    local job = db:wait_for(enqueue "failing", "completed")
    assert.equal('"well"', job.result)
    assert.equal(2, job.attempt)
    assert.same({ "once", "told", "told", "raised", "again" }, notes:read())
    assert.equal(0, w:stop())
  end)

  it("are refused where they cannot be, with the place", function()
    local w = start()
    local function says(what, text)
      local job = db:wait_for(enqueue("wrong", { what = what }), "failed")
      assert.matches(text, job.error)
    end
    says("twice", "t.lua:53: jobq.step: 'a' was there in this run already, at %S+t.lua:53\nhint: ")
    says("inside", "jobq.step: not inside of step 'a'")
    says("verdict", "step 'a': a verdict is no result: return it from run")
    says("value", "step 'a': its result: ")
    says("large", "step 'a': its result takes 1048578 bytes of JSON, the limit is 1048576")
    says("name", "t.lua:58: jobq.step: '' is not a name of 1 to 200 characters")
    says("parallel", "only run itself can wait for so long, not a part of jobq.parallel")
    says("option", "unknown option 'timout'\nhint: did you mean 'timeout'?")
    assert.equal(0, w:stop())
  end)

  it("fail a run that has lost its job, before anything else is done", function()
    local w = start { poll_interval = "60s" }
    local id = enqueue "two"
    notes:wait_for(2, w)
    db:query [[select jobq.settle(worker_id, array[seq], array[1]::smallint[], array['return'],
      delay_ms => array[3600000]) from jobq.lease]]
    notes:go()
    local line = w:expect("job failed", { job_id = id })
    assert.matches("step 'each': the job is no longer this run's", line.error)
    assert.same({ "first", "between", "each 1" }, notes:read())
    assert.equal(1, db:value("select count(*) from jobq.steps($1)", id))
    assert.equal(0, w:stop())
  end)

  it("wait for a database that is away, and no attempt is used", function()
    local w = start()
    local id = enqueue "two"
    notes:wait_for(2, w)
    engine.postgres.stop()
    finally(engine.postgres.start)
    w:expect "database lost"
    notes:go()
    notes:wait_for(3, w)
    engine.postgres.start()
    finally(function() end)
    assert.equal(1, db:wait_for(id, "completed").attempt)
    assert.same({ "first", "between", table.unpack(DONE) }, notes:read())
    assert.equal(5, db:value("select count(*) from jobq.steps($1)", id))
    assert.equal(0, w:stop())
  end)

  it("know a record whose answer was lost", function()
    local dir = engine.handlers({}).path
    local line = proxy.open(dir:sub(1, -2), db.dsn:match "host=(%S+)", { "w" })
    db.worker_dsn = line:dsn(db.dsn, "w")
    local w = start()
    local id = enqueue "two"
    notes:wait_for(2, w)
    db:query(SLOW_STEP)
    notes:go()
    db:wait_until("the second step is being kept",
      "select exists (select from pg_locks where locktype = 'advisory' and not granted)")
    line:order("half", "w", 1, "cut")
    line:wait_for "half w"
    db:query "select pg_advisory_unlock(7)"
    local job = db:wait_for(id, "completed")
    assert.equal(1, job.attempt)
    assert.same({ "first", "between", table.unpack(DONE) }, notes:read())
    assert.equal(0, w:stop())
    line:close()
  end)

  it("go on at the last checkpoint", function()
    local w = start()
    assert.equal('{"page":5}', db:wait_for(enqueue "pages", "completed").result)
    assert.same({ "1", "2", "3", "4" }, notes:read())
    assert.equal(0, w:stop())
  end)

  describe("with a transaction", function()
    local function effects(id)
      return db:value("select count(*) from effect where job_id = $1", id)
    end

    it("are one with it, or not at all", function()
      local w = start()
      local id = enqueue "tx"
      assert.equal(('{"job":%d}'):format(id), db:wait_for(id, "completed").result)
      assert.equal(1, effects(id))
      local job = db:wait_for(enqueue "rolled_back", "completed")
      assert.same({ "changed my mind", 1 }, json(job.result))
      assert.equal(0, db:value("select count(*) from jobq.steps($1)", job.id))
      assert.equal(0, w:stop())
    end)

    it("say so where the jobs are not", function()
      local other = engine.postgres.database "empty"
      other:query "create table effect (job_id bigint)"
      local w = start { set = "database.default=" .. other.dsn }
      local line = w:expect("job failed", { job_id = enqueue "tx" })
      assert.matches('schema "jobq" does not exist', line.error)
      assert.equal(0, other:value "select count(*) from effect")
      assert.equal(0, w:stop())
    end)

    -- As for tx:complete, but each way the record says whether the effect is there.
    for _, cut in ipairs {
      "b Z before", "b C before", "f S after", "f S before", "f P after", "f E before",
    } do
      it("have one effect when the connection is cut at " .. cut, function()
        local dir = engine.handlers({}).path
        local line = proxy.open(dir:sub(1, -2), db.dsn:match "host=(%S+)", { "handler" })
        local w = start { set = "database.default=" .. line:dsn(db.dsn, "handler") }
        local id = enqueue("tx", { pause = true })
        notes:wait_for(1, w)
        line:order("cut", "handler", cut)
        line:order("say", "handler", "obeyed")
        line:wait_for "obeyed"
        notes:go()
        line:wait_for "cut handler"
        db:wait_for(id, "completed")
        assert.equal(1, effects(id))
        assert.equal(0, w:stop())
        line:close()
      end)
    end
  end)

  describe("and events", function()
    it("end a run and bring it back behind its steps, with no attempt", function()
      local w = start { concurrency = 1 }
      local id = enqueue("event", { event = "paid" })
      parked(id)
      assert.same({ "ask", "left" }, notes:read())
      db:wait_for(enqueue "pages", "completed") -- in the only slot
      db:query [[select jobq.emit_event('paid', '{"cents": 5}')]]
      local job = db:wait_for(id, "completed")
      assert.same({ event = { cents = 5 }, ok = true }, json(job.result))
      assert.equal(1, job.attempt)
      assert.equal(0, w:stop())
    end)

    it("that came early are there at once", function()
      local w = start()
      local job = db:wait_for(enqueue("emits", { event = "x" }), "completed")
      assert.equal("[true,false]", job.result)
      job = db:wait_for(enqueue("event", { event = "x" }), "completed")
      assert.same({ n = 1 }, json(job.result).event)
      assert.same({ "ask", "behind", "left" }, notes:read())
      assert.equal(1, db:value "select count(*) from jobq.event")
      assert.equal(0, w:stop())
    end)

    it("that do not come are a timeout", function()
      local w = start()
      local id = enqueue("event", { event = "never", timeout = 0.3 })
      assert.same({ why = "timeout", ok = true }, json(db:wait_for(id, "completed").result))
      assert.same({ "ask", "left", "behind", "left" }, notes:read())
      assert.equal(0, w:stop())
    end)

    it("are not lost with the worker", function()
      local w = start()
      local id = enqueue("event", { event = "paid" })
      parked(id)
      w:kill()
      db:query "select jobq.emit_event('paid')"
      db:query "update jobq.worker set seen_at = now() - interval '1 hour'"
      w = start()
      db:wait_for(id, "completed")
      assert.same({ "ask", "left", "behind", "left" }, notes:read())
      assert.equal(0, w:stop())
    end)
  end)

  it("sleep without a slot, until when they first said", function()
    local w = start { concurrency = 1 }
    local id = enqueue "naps"
    db:wait_until("it sleeps", "select code = 'sleeping' from jobq.why($1)", id)
    local due = db:value("select due::text from jobq.steps($1) where name = 'long'", id)
    db:query("select jobq.edit($1, run_at => now())", id)
    notes:wait_for(2, w)
    db:wait_until("it sleeps again", "select code = 'sleeping' from jobq.why($1)", id)
    assert.equal(due, db:value("select due::text from jobq.steps($1) where name = 'long'", id))
    db:query "update jobq.step set due = now() where name = 'long'"
    db:query("select jobq.edit($1, run_at => now())", id)
    local job = db:wait_for(id, "completed")
    assert.equal('"rested"', job.result)
    assert.equal(1, job.attempt)
    assert.equal(3, #notes:read())
    assert.equal(0, w:stop())
  end)
end)
