local uv = require "luv"
local engine = require "support.engine"
local samples = require "support.samples"

describe("a worker that sleeps", function()
  local db, notes, worker

  before_each(function()
    db = engine.database()
    notes = samples.notes()
    worker = engine.worker(db, { ["note.lua"] = samples.note },
      { executors = 1, poll_interval = "10m" })
    db:wait_until("it sleeps", "select count(*) > 0 from jobq.sleeper")
  end)

  after_each(function()
    assert.equal(0, worker:stop())
  end)

  local function seconds_until_completed(job)
    local before = uv.hrtime()
    db:wait_for(db:enqueue(job), "completed")
    return (uv.hrtime() - before) / 1e9
  end

  it("wakes up for a job long before it would look again", function()
    for _ = 1, 5 do
      assert.is_true(seconds_until_completed { "note.write", args = notes:args() } < 3)
    end
  end)

  it("wakes up for a job that becomes due", function()
    local seconds = seconds_until_completed {
      "note.write", args = notes:args(), delay = "1 second",
    }
    assert.is_true(seconds >= 1 and seconds < 5)
  end)

  it("wakes up for a job of a queue that is new", function()
    assert.is_true(seconds_until_completed {
      "note.write", args = notes:args(), queue = "brand new",
    } < 3)
  end)

  it("wakes up for a retry", function()
    local id = db:enqueue { "note.write", args = "{}", max_attempts = 1 }
    db:wait_for(id, "failed")
    db:query("select jobq.retry($1::bigint)", id)
    db:wait_until("its second run",
      "select attempt = 2 and status = 'failed' from jobq.find($1::bigint)", id)
  end)

  it("misses none of many that arrive one by one", function()
    for _ = 1, 100 do
      db:enqueue { "note.write", args = notes:args() }
    end
    notes:wait_for(100, worker)
  end)
end)
