local engine = require "support.engine"
local samples = require "support.samples"

local HANDLERS = {
  ["long.lua"] = [[
local jobq = require "jobq"

return {
  held = {
    run = function(job)
      job:progress(0.4, "resizing")
      while not io.open(job.args.file .. ".go") do
        jobq.sleep(0.01)
      end
    end,
  },
  busy = {
    run = function(job)
      for i = 1, 100000 do
        job:progress(i / 100000, "turn " .. i)
      end
    end,
  },
}
]],
}

describe("job:progress", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function told(id)
    db:wait_until("it tells", "select progress is not null from jobq.find($1::bigint)", id)
  end

  it("shows while the job runs", function()
    local w = engine.worker(db, HANDLERS, { executors = 1 })
    local id = db:enqueue { "long.held", args = notes:args() }
    told(id)
    assert.match("\nprogress 40 %%, resizing, told ", engine.jobq(db, "job " .. id).out)
    local list = engine.jobq(db, "jobs").out
    assert.match("^%s*id .*progress\n", list)
    assert.match("40 %%, resizing", list)
    local progress = engine.jobq(db, { "job", tostring(id), "--json" }).json.progress
    assert.same({ 0.4, "resizing" }, { progress.fraction, progress.message })
    assert.match("^%d%d%d%d%-%d%d%-%d%dT", progress.at)
    notes:go()
    db:wait_for(id, "completed")
    assert.is_nil(engine.jobq(db, "job " .. id).out:find("progress", 1, true))
    assert.is_nil(engine.jobq(db, "jobs").out:find("progress", 1, true))
    assert.equal(0, w:stop())
  end)

  it("never keeps a job from its end", function()
    local w = engine.worker(db, HANDLERS, { executors = 1 })
    local locker = db:connect()
    locker:query "begin"
    db.patience_s = 8 -- less than the lock_timeout of a worker, after which all goes on
    locker:query "lock table jobq.progress in exclusive mode"
    db:wait_for(db:enqueue { "long.busy" }, "completed")
    locker:query "rollback"
    assert.equal(0, w:stop())
  end)

  it("may be lost", function()
    local w = engine.worker(db, HANDLERS, { executors = 1 })
    db:query "alter table jobq.progress rename to elsewhere"
    local id = db:enqueue { "long.held", args = notes:args() }
    w:expect "progress of jobs is not kept"
    notes:go()
    db:wait_until("it is completed",
      "select exists (select from jobq.finished_completed where id = $1::bigint)", id)
    assert.equal(0, w:stop())
  end)
end)
