local engine = require "support.engine"
local samples = require "support.samples"

describe("jobq pause", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function jobq(line)
    local words = {}
    for word in line:gmatch "%S+" do
      table.insert(words, word)
    end
    return engine.jobq(db, words)
  end

  local function ok(line)
    local answer = jobq(line)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  local function worker(options)
    options = options or {}
    options.executors = 1
    return engine.worker(db, { ["note.lua"] = samples.note }, options)
  end

  -- What the worker has heard of before it says that this job is done.
  local function other_job_done()
    db:wait_for(db:enqueue { "note.write", queue = "other", args = notes:args() }, "completed")
  end

  -- With other lanes it falls asleep anew.
  local function lanes_change(change)
    db:query "delete from jobq.sleeper"
    local answer = ok(change)
    db:wait_until("the worker sleeps on its new lanes", "select exists (select from jobq.sleeper)")
    return answer
  end

  it("keeps a queue from workers until it is resumed; running jobs go on", function()
    local w = worker()
    local held = db:enqueue { "note.held", args = notes:args() }
    notes:wait_for(1, w)
    other_job_done()
    assert.match("^queue default is paused; 1 running job goes on, 0 wait; " ..
      "jobq resume default undoes it$", lanes_change("pause default --reason upgrade").out)
    local id = db:enqueue { "note.write", args = notes:args() }
    notes:go()
    db:wait_for(held, "completed")
    other_job_done()
    assert.equal("pending", db:job(id).status)
    assert.match('queue "default" has been paused for .* by .*: upgrade\n  jobq resume default',
      ok("why " .. id).out)
    assert.match("default +1 +1 +for .* by .* upgrade", ok("queues").out)
    assert.match("^queue default has been paused for .*: upgrade$", ok("pause default").out)
    assert.equal("queue default goes on", lanes_change("resume default").out)
    db:wait_for(id, "completed")
    assert.equal("queue default was not paused", ok("resume default").out)
    assert.equal("jobq: no queue is paused", jobq("queues --paused").err)
    assert.equal(0, w:stop())
  end)

  it("keeps a kind from workers, and the others run on", function()
    local w = worker()
    db:wait_for(db:enqueue { "note.write", args = notes:args() }, "completed")
    assert.match("^kind note.write is paused", ok("pause --kind note.write").out)
    db:wait_until("it stands apart", "select apart from jobq.kind where name = 'note.write'")
    local id = db:enqueue { "note.write", args = notes:args() }
    local other = db:enqueue { "note.held", args = notes:args() }
    notes:go()
    db:wait_for(other, "completed")
    assert.equal("pending", db:job(id).status)
    assert.match("note%.write +default +1 +1 +for .* by", ok("kinds").out)
    ok "resume --kind note.write"
    db:wait_for(id, "completed")
    assert.equal(0, w:stop())
  end)

  it("is not waited for by a worker that drains, also if all is paused", function()
    db:enqueue { "note.write", args = notes:args() }
    db:enqueue { "note.held", args = notes:args() }
    ok "pause --kind note.held"
    local function drain()
      local options = { drain = true, executors = 1 }
      return engine.start(db, { ["note.lua"] = samples.note }, options):wait()
    end
    assert.equal(0, drain())
    assert.equal(1, #notes:read())
    db:enqueue { "note.write", args = notes:args() }
    ok "pause default"
    assert.equal(0, drain())
    assert.equal(1, #notes:read())
  end)

  it("says what is not there", function()
    db:enqueue { "note.write" }
    local answer = jobq "pause defautl"
    assert.same({ 3, "jobq: queue 'defautl' does not exist\nhint: did you mean 'default'?" },
      { answer.status, answer.err })
    answer = jobq "resume --kind x"
    assert.same({ 3, "jobq: kind 'x' does not exist\nhint: jobq kinds lists them" },
      { answer.status, answer.err })
    assert.match("QUEUE is missing: its name; or %-%-kind KIND", jobq("pause").err)
    assert.match("QUEUE excludes %-%-kind", jobq("pause default --kind x").err)
  end)

  it("answers programs", function()
    db:enqueue { "note.write" }
    local json = ok("pause default --reason x --json").json
    assert.same({ "default", true, 1 }, { json.queue, json.done, json.pending })
    assert.equal("x", ok("queues --json").json.items[1].pause_reason)
    assert.is_true(ok("resume default --json").json.done)
  end)
end)
