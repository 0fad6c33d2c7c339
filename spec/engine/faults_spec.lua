local engine = require "support.engine"
local samples = require "support.samples"

describe("when something breaks", function()
  local db, notes
  local texts = { ["note.lua"] = samples.note }

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function enqueue(count, kind, args)
    return db:value([[
      select count(*) from jobq.enqueue_many($1::text, array_fill($2::jsonb, array[$3::int]))]],
      kind, notes:args(args), count)
  end

  local function wait_for_completed(count)
    db:wait_until(count .. " jobs are completed",
      "select count(*) = $1 from jobq.job where status = 'completed'", count)
  end

  -- In exactly one place each, and none left.
  local function check_settled(count)
    assert.equal(count, db:value "select count(distinct id) from jobq.job")
    assert.equal(count, db:value "select count(*) from jobq.job")
    assert.equal(0, db:value "select count(*) from jobq.ready")
  end

  it("two workers share the work, and no job runs twice", function()
    enqueue(300, "note.slow", { seconds = 0.02 })
    local first = engine.worker(db, texts, { executors = 1, concurrency = 4 })
    local second = engine.worker(db, texts, { executors = 1, concurrency = 4 })
    wait_for_completed(300)
    assert.equal(0, first:stop())
    assert.equal(0, second:stop())
    assert.equal(300, #notes:read())
    assert.equal(2, db:value "select count(distinct worker_id) from jobq.job")
    check_settled(300)
  end)

  it("the jobs of a killed worker are taken over, without having used an attempt", function()
    local options = {
      executors = 1, concurrency = 5, heartbeat_interval = "200ms", dead_after = "2s",
    }
    local first = engine.worker(db, texts, options)
    enqueue(5, "note.held")
    notes:wait_for(5, first)
    local second = engine.worker(db, texts, options)
    assert.equal(137, first:kill())
    second:expect("recovered the jobs of a dead worker", { worker_id = first.id, jobs = 5 })
    notes:go()
    wait_for_completed(5)
    assert.equal(10, #notes:read())
    check_settled(5)
    assert.equal(5, db:value "select sum(attempt)::int from jobq.job")
    assert.equal("dead", db:value("select state from jobq.worker_status where id = $1", first.id))
    assert.equal(0, second:stop())
  end)

  it("a worker whose connections are cut loses nothing and settles nothing twice", function()
    local w = engine.worker(db, texts, { executors = 1, concurrency = 20, poll_interval = "1s" })
    enqueue(400, "note.slow", { seconds = 0.01 })
    for round = 1, 5 do
      notes:wait_for(round * 40, w)
      db:query [[
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()]]
      w:expect "database back"
    end
    wait_for_completed(400)
    check_settled(400)
    assert.equal(400, db:value "select sum(attempt)::int from jobq.job")
    assert.equal(400, #notes:read())
    assert.equal(0, w:stop())
  end)

  it("a server that crashes and comes back finds its worker again", function()
    local w = engine.worker(db, texts, { executors = 1, concurrency = 20 })
    enqueue(100, "note.slow", { seconds = 0.02 })
    notes:wait_for(20, w)
    engine.postgres.stop()
    w:expect "database lost"
    engine.postgres.start()
    w:expect "database back"
    wait_for_completed(100)
    check_settled(100)
    assert.equal(0, w:stop())
  end)

  it("a worker waits for a database that is down at its start", function()
    engine.postgres.stop()
    finally(engine.postgres.start)
    local w = engine.start(db, texts, { executors = 1 })
    w:wait_for_line(function(line) return line:find("database", 1, true) end, "a word about it")
    assert.is_true(w:is_running())
    engine.postgres.start()
    finally(function() end)
    w:expect "worker ready"
    db:wait_for(db:enqueue { "note.write", args = notes:args() }, "completed")
    assert.equal(0, w:stop())
  end)

  it("a worker that must stop while the database is away exits 75", function()
    local w = engine.worker(db, texts, { executors = 1, shutdown_grace = "200ms" })
    engine.postgres.stop()
    finally(engine.postgres.start)
    w:expect "database lost"
    assert.equal(75, w:stop())
  end)

  it("a worker that was stopped for too long drops what it was doing", function()
    local options = { executors = 1, heartbeat_interval = "200ms", dead_after = "2s" }
    local first = engine.worker(db, texts, options)
    enqueue(3, "note.held")
    notes:wait_for(3, first)
    local second = engine.worker(db, texts, options)
    first:signal "sigstop"
    second:expect("recovered the jobs of a dead worker", { worker_id = first.id })
    notes:go()
    wait_for_completed(3)
    first:signal "sigcont"
    first:expect "declared dead by another worker, starting over"
    first:expect "worker ready"
    check_settled(3)
    assert.equal(3, db:value("select count(*) from jobq.job where worker_id = $1", second.id))
    assert.equal(0, first:stop())
    assert.equal(0, second:stop())
  end)
end)
