local engine = require "support.engine"
local samples = require "support.samples"

describe("a worker that is told to stop", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function start(options)
    options.executors = 1
    return engine.worker(db, { ["note.lua"] = samples.note }, options)
  end

  for _, signal in ipairs { "sigterm", "sigint" } do
    it("by " .. signal .. " lets running jobs finish and gives the others back", function()
      local w = start { concurrency = 2 }
      for _ = 1, 6 do
        db:enqueue { "note.held", args = notes:args(), max_attempts = 1 }
      end
      notes:wait_for(2, w)
      w:signal(signal)
      w:expect "stopping"
      local fresh = db:enqueue { "note.held", args = notes:args() }
      notes:go()
      w:expect "worker stopped"
      assert.equal(0, w:wait())
      assert.same({ completed = 2, pending = 5 }, {
        completed = db:value "select count(*) from jobq.job where status = 'completed'",
        pending = db:value "select count(*) from jobq.job where status = 'pending' and attempt = 0",
      })
      assert.equal("pending", db:job(fresh).status)
      assert.equal(2, #notes:read())
      assert.equal(0, db:value "select count(*) from jobq.lease")
      assert.equal("stopped", db:value("select state from jobq.worker_status where id = $1", w.id))
    end)
  end

  it("returns what outlasts the grace, without burning an attempt", function()
    local w = start { shutdown_grace = "300ms" }
    local id = db:enqueue { "note.slow", args = notes:args(), max_attempts = 1 }
    notes:wait_for(1, w)
    assert.equal(0, w:stop())
    local job = db:job(id)
    assert.same({ "pending", 0 }, { job.status, job.attempt })
  end)

  it("stops at once when it is told twice", function()
    local w = start { shutdown_grace = "60s" }
    local id = db:enqueue { "note.slow", args = notes:args(), max_attempts = 1 }
    notes:wait_for(1, w)
    w:signal "sigterm"
    w:expect "stopping"
    assert.is_true(w:is_running())
    w:signal "sigterm"
    assert.equal(0, w:wait())
    local job = db:job(id)
    assert.same({ "pending", 0 }, { job.status, job.attempt })
  end)

  it("ends a run that computes for ever after the grace", function()
    local spin = "return { run = function(job) io.open(job.args.file, 'w'):write('x'):close() " ..
      "while true do pcall(function() while true do end end) end end }"
    local w = engine.worker(db, { ["spin.lua"] = spin },
      { executors = 1, shutdown_grace = "300ms" })
    local id = db:enqueue { "spin", args = notes:args(), max_attempts = 1 }
    notes:wait_for(1, w)
    assert.equal(0, w:stop())
    local job = db:job(id)
    assert.same({ "pending", 0 }, { job.status, job.attempt })
  end)

  it("goes idle at once", function()
    local w = start {}
    assert.equal(0, w:stop())
  end)
end)
