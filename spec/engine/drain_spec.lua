local engine = require "support.engine"
local samples = require "support.samples"

local TWICE = [[
return { retry_delay = 0.3, run = function(job) if job.attempt == 1 then error "once more" end end }
]]

describe("--drain", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function drain(options)
    options = options or {}
    options.drain, options.executors = true, 1
    local texts = { ["note.lua"] = samples.note, ["twice.lua"] = TWICE }
    return engine.start(db, texts, options):wait()
  end

  it("exits 0 at once when there is nothing to do", function()
    for _ = 1, 5 do
      assert.equal(0, drain())
    end
    assert.equal(5, db:value "select count(*) from jobq.worker where state = 'stopped'")
    assert.equal(5, db:value "select count(*) from jobq.worker")
  end)

  it("works until all is done, retries included", function()
    local retried = db:enqueue { "twice" }
    for _ = 1, 200 do
      db:enqueue { "note.write", args = notes:args() }
    end
    assert.equal(0, drain { concurrency = 10 })
    assert.equal(200, #notes:read())
    local job = db:job(retried)
    assert.same({ "completed", 2 }, { job.status, job.attempt })
  end)

  it("does not wait for jobs that their creator scheduled for later", function()
    local later = db:enqueue { "note.write", args = notes:args(), delay = "1 hour" }
    local now = db:enqueue { "note.write", args = notes:args() }
    assert.equal(0, drain())
    assert.same({ "pending", "completed" }, { db:job(later).status, db:job(now).status })
  end)

  it("does not wait for kinds and queues that it does not run", function()
    db:enqueue { "fax.send" }
    db:enqueue { "note.write", queue = "other", args = notes:args() }
    assert.equal(0, drain { queues = "default" })
    assert.equal(2, db:value "select count(*) from jobq.job where status = 'pending'")
  end)

  it("needs no database: it makes and ends one of its own", function()
    local pg_dir = engine.handlers({}).path .. "pg"
    local dir = engine.handlers({ ["note.lua"] = samples.note }).path
    for _ = 1, 2 do
      local w = engine.run { "--embedded=" .. pg_dir, "--drain", "--executors=1", dir }
      w:expect "worker ready"
      assert.equal(0, w:wait())
    end
    local answer = engine.jobq(nil, { "--embedded=" .. pg_dir, "workers", "--all", "--json" })
    assert.equal(2, #answer.json.items)
    answer = engine.jobq(nil, { "--embedded=" .. pg_dir, "postgres", "status" })
    assert.equal("stopped", answer.out)
  end)

  it("takes what comes meanwhile", function()
    db:enqueue { "note.held", args = notes:args() }
    local w = engine.start(db, { ["note.lua"] = samples.note }, { drain = true, executors = 1 })
    notes:wait_for(1, w)
    local second = db:enqueue { "note.write", args = notes:args() }
    db:wait_for(second, "completed")
    notes:go()
    assert.equal(0, w:wait())
  end)
end)
