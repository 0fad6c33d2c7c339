local uv = require "luv"
local engine = require "support.engine"
local pair = require "support.pair"
local proxy = require "support.proxy"
local samples = require "support.samples"

local texts = { ["note.lua"] = samples.note }

-- A producer that trusts nothing but an answer: only what it was told to be there must be there.
local Load = {}
Load.__index = Load

local function new_load(db, notes)
  return setmetatable({ db = db, args = notes:args { seconds = 0.01 }, ids = {} }, Load)
end

function Load:enqueue()
  local ok, rows = pcall(self.db.try, self.db,
    "select jobq.enqueue('note.slow', $1::jsonb) as id", self.args)
  if ok and rows then
    table.insert(self.ids, rows[1].id)
  else
    self.db:close() -- the next call connects again
  end
end

--- Goes on until the condition holds.
function Load:run_until(what, condition)
  engine.process.wait_until(function()
    self:enqueue()
    return condition()
  end, what)
end

--- Goes on until so many more were acknowledged.
function Load:run(count)
  local wanted = #self.ids + count
  self:run_until(count .. " acknowledged jobs", function() return #self.ids >= wanted end)
end

local function has_said(worker, message)
  return worker:errors():find(message, 1, true) ~= nil
end

local function all_say(workers, message)
  for _, w in ipairs(workers) do
    if not has_said(w, message) then
      return false
    end
  end
  return true
end

-- By id, from what handlers wrote into a file: the queue has no part in it.
local function runs_of(notes)
  local runs = {}
  for _, line in ipairs(notes:read()) do
    local id = tonumber(line)
    runs[id] = (runs[id] or 0) + 1
  end
  return runs
end

-- Each acknowledged job has run and has ended once; the workers are those that were started.
local function check(db, notes, ids, workers)
  db:wait_until("no job is left", "select count(*) = 0 from jobq.job where finished_at is null")
  assert.equal(0, db:value "select count(*) - count(distinct id) from jobq.job")
  assert.equal(#ids, db:value(
    "select count(distinct id) from jobq.job where status = 'completed' and id = any ($1)", ids))
  local runs = runs_of(notes)
  for _, id in ipairs(ids) do
    assert(runs[id], ("job %d is completed and has never run"):format(id))
  end
  for _, w in ipairs(workers) do
    assert.equal("running", db:value("select state from jobq.worker where id = $1", w.id))
    assert.is_false(has_said(w, "declared dead"))
    assert.is_false(has_said(w, "recovered the jobs"))
  end
  assert.equal(#workers, db:value "select count(*) from jobq.worker")
end

local function check_ran_once(notes, ids)
  local runs = runs_of(notes)
  for _, id in ipairs(ids) do
    assert.equal(1, runs[id], ("runs of job %d"):format(id))
  end
end

local function stop_all(workers)
  for _, w in ipairs(workers) do
    assert.equal(0, w:stop())
  end
end

describe("a worker whose connection", function()
  local db, notes, load

  before_each(function()
    db = engine.database()
    notes = samples.notes()
    load = new_load(db, notes)
  end)

  -- Holds a table so that the statement must wait in its midst, and ends the session there.
  local function terminate_in(statement, table_name, work)
    local options = { executors = 1, concurrency = 8, poll_interval = "100ms" }
    local w = engine.worker(db, texts, options)
    local blocker = db:connect()
    assert(blocker:query "begin")
    assert(blocker:query(("lock table %s in exclusive mode"):format(table_name)))
    work()
    db:wait_until(statement .. " waits for its lock", [[
      select count(*) = 1 from pg_stat_activity
      where application_name = 'jobq-run work' and wait_event_type = 'Lock' and query like $1
        and datname = current_database()]], statement .. "%")
    db:query [[
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'jobq-run work' and datname = current_database()]]
    w:expect("database lost", { error = "terminating connection due to administrator command" })
    assert(blocker:query "rollback")
    w:expect "database back"
    assert.is_nil(w:errors():find("FATAL", 1, true)) -- libpq would print it into the log
    return w
  end

  it("is terminated in the midst of a claim loses nothing", function()
    local w = terminate_in("-- claim: ", "jobq.lease", function() load:run(40) end)
    check(db, notes, load.ids, { w })
    check_ran_once(notes, load.ids)
    assert.equal(0, w:stop())
  end)

  it("is terminated in the midst of a settle settles again, and runs nothing again", function()
    local w = terminate_in("-- settle: ", "jobq.finished", function() load:run(40) end)
    check(db, notes, load.ids, { w })
    check_ran_once(notes, load.ids)
    assert.equal(#load.ids, db:value "select sum(attempt)::int from jobq.job")
    assert.equal(0, w:stop())
  end)

  describe("goes through a proxy", function()
    local line

    before_each(function()
      local dir = engine.handlers {} -- a folder that goes with the spec
      line = proxy.open(dir.path:gsub("/$", ""), db.dsn:match "host=(%S+)", { "w" })
    end)

    after_each(function()
      line:close()
    end)

    local function worker(options)
      return engine.worker({ dsn = line:dsn(db.dsn, "w") }, texts, options)
    end

    for statement, rows in pairs { claim = "rows", settle = "" } do
      it(("and breaks between a %s and its answer runs nothing twice"):format(statement),
        function()
          local w = worker { executors = 1, concurrency = 8, poll_interval = "200ms" }
          line:order("unanswered", "w", statement, rows)
          load:run(40)
          line:wait_for("unanswered w " .. statement)
          w:expect "database back"
          check(db, notes, load.ids, { w })
          check_ran_once(notes, load.ids)
          assert.equal(#load.ids, db:value "select sum(attempt)::int from jobq.job")
          assert.equal(0, w:stop())
        end)
    end

    -- How the silence ends: all arrives late, or the server had given its sessions up at once.
    for _, ending in ipairs { "resume", "lose" } do
      it("and falls silent without a word starts nothing and comes back, by " .. ending, function()
        local options = {
          executors = 1, concurrency = 4, heartbeat_interval = "200ms", dead_after = "10s",
        }
        local silent, witness = worker(options), engine.worker(db, texts, options)
        load:run(20)
        line:order("half", "w", 6, ending)
        load:run_until("the worker to hold back", function()
          return has_said(silent, "starting nothing")
        end)
        load:run_until("the worker to go on", function()
          return has_said(silent, "the database answers")
        end)
        line:wait_for("half w " .. ending)
        load:run(20)
        check(db, notes, load.ids, { silent, witness })
        check_ran_once(notes, load.ids)
        stop_all { silent, witness }
      end)
    end
  end)

  -- What the server does, while two workers have much to do.
  local function check_server(fault)
    local workers = {}
    for i = 1, 2 do
      workers[i] = engine.worker(db, texts, { executors = 1, concurrency = 8 })
    end
    load:run(50)
    fault()
    load:run_until("both workers to be back", function()
      return all_say(workers, "database back")
    end)
    load:run(50)
    check(db, notes, load.ids, workers)
    stop_all(workers)
  end

  it("ends with a server that is restarted fast under load comes back by itself", function()
    check_server(function() engine.postgres.restart "fast" end)
  end)

  it("ends in a crash of the server under load comes back by itself", function()
    check_server(function()
      local pid = db:value [[
        select pid from pg_stat_activity
        where application_name = 'jobq-run work' and datname = current_database() limit 1]]
      engine.postgres.crash(pid)
    end)
  end)
end)

local UPKEEP = [[
  from pg_stat_activity
  where application_name = 'jobq-run upkeep' and datname = current_database()]]

local function lose_touch(db, worker)
  db:query("update jobq.worker set seen_at = now() - interval '1 hour' where id = $1", worker.id)
end

-- After an outage everybody has been silent for too long, and somebody is back first.
it("a worker that is back first does not take the others for dead", function()
  local db = engine.database()
  local options = { executors = 1, heartbeat_interval = "200ms", dead_after = "4s" }
  local function backends()
    return db:value [[
      select array_agg(pid) from pg_stat_activity
      where application_name like 'jobq-run%' and datname = current_database()]]
  end
  local first = engine.worker(db, texts, options)
  local of_first = backends()
  local second = engine.worker(db, texts, options)
  local before = backends()
  second:signal "sigstop"
  first:signal "sigstop"
  local since = db:value "select clock_timestamp()"
  db:wait_until("the outage to be a long one",
    "select clock_timestamp() > $1::timestamptz + interval '2 s'", since)
  db:query "begin"
  lose_touch(db, second)
  db:query("select pg_terminate_backend(pid) from unnest($1::int[]) pid", of_first)
  db:query "commit"
  first:signal "sigcont"
  first:expect "database back"
  db:wait_until("the first one has looked for the dead", "select count(*) = 1" .. UPKEEP .. [[
      and state = 'idle' and pid <> all ($1::int[])
      and (query like '-- recover: %' or query like '-- worker_locks: %')
      and query_start > backend_start + interval '500 ms' -- it has looked twice
    ]], before)
  second:signal "sigcont"
  db:wait_until("the other one is heard again",
    "select seen_at > now() - interval '1 hour' from jobq.worker where id = $1", second.id)
  assert.equal(2, db:value "select count(*) from jobq.worker where state = 'running'")
  stop_all { first, second }
end)

-- Under many cuts nobody would ever be found dead otherwise.
it("a worker that is cut off again and again, but shortly, finds the dead", function()
  local db = engine.database()
  local options = { executors = 1, heartbeat_interval = "200ms", dead_after = "6s" }
  local first = engine.worker(db, texts, options)
  db:wait_until("it may declare others dead", "select count(*) = 1" .. UPKEEP .. [[
      and query like '-- recover: %' and query_start > backend_start + interval '6 s']])
  local second = engine.worker(db, texts, options)
  second:signal "sigstop"
  lose_touch(db, second)
  engine.process.wait_until(function()
    db:query("select pg_terminate_backend(pid)" .. UPKEEP .. [[
      and backend_start < clock_timestamp() - interval '1 s']])
    return has_said(first, "recovered the jobs of a dead worker")
  end, "the dead one to be found")
  second:kill()
  stop_all { first }
end)

describe("a failover to a standby", function()
  local AWAY_SECONDS = 20

  it("after 20 s without any server kills no worker and loses nothing acknowledged", function()
    local servers = pair.start()
    finally(function() servers:close() end)
    local db, notes = servers.db, samples.notes()
    local load = new_load(db, notes)
    -- The last one would take any server, and waits until the one it finds is the primary.
    local dsns = { db.dsn, db.dsn, (db.dsn:gsub(" target_session_attrs=%S+", "")) }
    local workers = {}
    for i, dsn in ipairs(dsns) do
      workers[i] = engine.worker({ dsn = dsn }, texts, { executors = 1, concurrency = 8 })
    end
    load:run(100)
    servers:kill()
    local back_at = uv.hrtime() + AWAY_SECONDS * 1e9
    load:run_until("the primary to be away for long enough", function()
      return uv.hrtime() > back_at
    end)
    assert.is_true(all_say(workers, "database lost"))
    assert.is_true(all_say(workers, "starting nothing"))
    servers:promote()
    load:run_until("the workers to be back", function()
      return all_say(workers, "database back")
    end)
    load:run(100)
    check(db, notes, load.ids, workers)
    for _, w in ipairs(workers) do
      assert.is_false(has_said(w, "level=error"))
      assert.is_false(has_said(w, "is repeated")) -- nobody has tried to work on a standby
    end
    assert.equal(0, engine.jobq(db, "workers").status)
    stop_all(workers)
  end)
end)
