local engine = require "support.engine"
local samples = require "support.samples"

describe("a worker takes jobs", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function enqueue(text, options)
    options = options or {}
    options[1] = "note.write"
    options.args = notes:args { text = text }
    return db:enqueue(options)
  end

  local function drain()
    local w = engine.start(db, { ["note.lua"] = samples.note },
      { concurrency = 1, executors = 1, drain = true })
    assert.equal(0, w:wait())
    return notes:read()
  end

  it("by priority, lower numbers first, then in the order they came", function()
    enqueue("five a")
    enqueue("nine", { priority = 9 })
    enqueue("zero", { priority = 0 })
    enqueue("five b")
    enqueue("three", { priority = 3 })
    assert.same({ "zero", "three", "five a", "five b", "nine" }, drain())
  end)

  it("by the time they were to run, within a priority", function()
    enqueue "now"
    enqueue("long due", { run_at = "2020-02-02 02:02:02+00" })
    assert.same({ "long due", "now" }, drain())
  end)

  it("not before their time", function()
    local w = engine.worker(db, { ["note.lua"] = samples.note }, { executors = 1 })
    local later = enqueue("later", { delay = "1 hour" })
    local late = enqueue("late", { delay = "1.2 seconds" })
    db:wait_for(enqueue "soon", "completed")
    db:wait_for(late, "completed")
    assert.equal("pending", db:job(later).status)
    assert.is_true(db:value(
      "select started_at >= run_at and run_at >= created_at + interval '1.2 s' from jobq.find($1)",
      late))
    assert.equal(0, w:stop())
  end)

  it("and runs as many at a time as it may", function()
    for _ = 1, 5 do
      db:enqueue { "note.held", args = notes:args() }
    end
    local w = engine.worker(db, { ["note.lua"] = samples.note }, { concurrency = 3 })
    notes:wait_for(3, w)
    notes:go()
    notes:wait_for(5, w)
    assert.equal(0, w:stop())
  end)
end)
