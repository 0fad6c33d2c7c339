local uv = require "luv"
local engine = require "support.engine"
local samples = require "support.samples"

--- Death by silence is in faults_spec.lua; here all are within dead_after.
describe("a worker's lock", function()
  local db, notes
  local texts = { ["note.lua"] = samples.note }

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  --- The row of a worker that is no process.
  local function register(name)
    return db:value([[insert into jobq.worker (pid, host, name, version, concurrency)
      values (1, 'nowhere', $1::text, '0', 1) returning id]], name)
  end

  local function hold_lock(id)
    local conn = db:connect()
    assert(conn:query("select pg_advisory_lock($1::bigint)", id))
    return conn
  end

  local function state(id)
    return db:value("select state from jobq.worker where id = $1::bigint", id)
  end

  it("tells of a death in some 15 s, but for those who beat and those who never had it", function()
    local beating, unseen = register "beating", register "unseen"
    local lock = hold_lock(beating)
    local victim = engine.worker(db, texts, { executors = 1 })
    local job = db:enqueue { "note.held", args = notes:args() }
    notes:wait_for(1, victim)
    local survivor = engine.worker(db, texts, { executors = 1 })
    lock:close()
    victim:kill()

    local killed = uv.hrtime()
    db.patience_s = 40
    db:wait_until("the killed worker is declared dead", [[
      with beat as (update jobq.worker set seen_at = now() where id = $2::bigint)
      select state = 'dead' from jobq.worker where id = $1::bigint]], victim.id, beating)
    local seconds = (uv.hrtime() - killed) / 1e9
    assert.is_true(seconds >= 15, ("after %.1f s"):format(seconds))
    assert.equal("running", state(beating))
    assert.equal("running", state(unseen))
    survivor:expect("recovered the jobs of a dead worker", { worker_id = victim.id, jobs = 1 })
    notes:go()
    db:wait_for(job, "completed")
    assert.equal(0, survivor:stop())
  end)

  it("is what a worker must have to sleep; until then it looks by itself", function()
    local worker = engine.worker(db, texts, { executors = 1, poll_interval = "100ms" })
    db:wait_until("it sleeps", "select count(*) > 0 from jobq.sleeper")
    local thief = db:connect()
    db:query("delete from jobq.sleeper")
    assert(thief:query(([[do $$ declare id bigint = %d; begin
      perform pg_terminate_backend(pid) from pg_locks
        where locktype = 'advisory' and (classid::bigint << 32 | objid::bigint) = id;
      perform pg_advisory_lock(id);
    end $$]]):format(worker.id)))
    db:wait_until("it is connected again", [[select count(*) = 2 from pg_stat_activity
      where datname = current_database() and application_name like 'jobq-run%' and state = 'idle']])
    for _ = 1, 3 do
      db:wait_for(db:enqueue { "note.write", args = notes:args() }, "completed")
    end
    assert.equal(0, db:value "select count(*) from jobq.sleeper")
    thief:close()
    db:wait_until("it sleeps again", "select count(*) > 0 from jobq.sleeper")
    assert.equal(0, worker:stop())
  end)
end)
