local engine = require "support.engine"
local samples = require "support.samples"

describe("jobs under control:", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function start(options)
    options = options or {}
    options.executors = 1
    return engine.worker(db, { ["note.lua"] = samples.note }, options)
  end

  local function jobq(command)
    return engine.jobq(db, command)
  end

  it("one that has expired is not run by the worker that claims it", function()
    local late = db:enqueue { "note.write", args = notes:args(), expires_in = "1 microsecond" }
    local early = db:enqueue { "note.write", args = notes:args(), expires_in = "1 hour" }
    db:query "delete from jobq.expiry" -- no sweep
    local w = start()
    db:wait_for(early, "completed")
    local job = db:wait_for(late, "cancelled")
    assert.same({ "expired", 0, w.id }, { job.error, job.attempt, job.worker_id })
    assert.same({ tostring(early) }, notes:read())
  end)

  it("one that expires with no worker for it is cancelled by any worker", function()
    local late = db:enqueue { "nobody.knows", expires_in = "100 milliseconds" }
    start()
    assert.equal("expired", db:wait_for(late, "cancelled").error)
    assert.match("was cancelled .*: expired", jobq({ "why", tostring(late) }).out)
  end)

  it("expiry is an option of the command and of handlers", function()
    db:query "select jobq.enqueue('note.write')"
    local answer = engine.jobq(db, { "enqueue", "note.write", "{}", "--expires-in", "10m" })
    local meta = db:value("select meta ->> 'expires_in' from jobq.find($1)", tonumber(answer.out))
    assert.equal(600, tonumber(meta))
    engine.worker(db, { ["make.lua"] = [[
      local jobq = require "jobq"
      return { run = function()
        return jobq.done(jobq.must(jobq.enqueue("x", {}, { expires_in = 60 })))
      end }]] })
    local id = tonumber(db:wait_for(db:enqueue { "make" }, "completed").result)
    meta = db:value("select meta ->> 'expires_in' from jobq.find($1)", id)
    assert.equal(60, tonumber(meta))
  end)

  it("a cancelled one says who asked, and why", function()
    local id = tostring(db:enqueue { "a" })
    assert.equal(0, jobq({ "cancel", id, "--reason", "wrong address", "--by", "ann" }).status)
    local page = jobq({ "job", id }).out
    assert.match("cancelled .*, by ann\n", page)
    assert.match("error +wrong address", page)
    assert.equal("ann", jobq({ "job", id, "--json" }).json.cancelled_by)
    assert.match("cancelled .* by ann: wrong address", jobq({ "why", id }).out)
  end)
end)
