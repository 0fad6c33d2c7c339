local build = require "support.build"
local codec = require("jobq.core").json
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

  it("one is waited for by the command, told as soon as it ends", function()
    local held = db:enqueue { "note.held", args = notes:args() }
    notes:wait_for(1, start())
    local id = tostring(held)
    local waiting = engine.process.start {
      build.program "jobq", "wait", id, "--json",
      env = { JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = os.getenv "JOBQ_ADMIN_SCRIPTS" },
    }
    db:wait_until("the command waits", "select exists (select from jobq.waiter)")
    db:wait_until("it holds back nothing meanwhile", [[
      select exists (select from pg_stat_activity where datname = current_database()
        and application_name = 'jobq' and state = 'idle' and backend_xmin is null)]])
    local answer = jobq({ "wait", id, "--timeout", "20ms" })
    assert.same({ 1, true }, { answer.status, answer.err:find("still processing") ~= nil })
    notes:go()
    assert.equal(0, waiting:wait())
    assert.equal("completed", codec.decode(waiting:output()).status)
    assert.equal(0, jobq({ "wait", id }).status)
    assert.equal(3, jobq({ "wait", "99" }).status)
  end)

  it("one is waited for by another, which goes on with its result", function()
    local function handlers(text)
      return engine.worker(db, { ["a.lua"] = [[local jobq = require "jobq"
        return {
          child = { run = function(job) return jobq.done { n = job.args.n * 2 } end },
          wrong = { max_attempts = 1, run = function() error "no luck" end },
          parent = { run = function(job)
            ]] .. text .. [[
          end },
        }]] }, { executors = 1 })
    end
    handlers [[
      local id = jobq.enqueue("a.child", { n = 21 })
      local other = jobq.enqueue("a.wrong")
      local late = jobq.enqueue("nobody.knows")
      local _, message, code = jobq.await(late, { timeout = 0.05 })
      local _, none, not_found = jobq.await(late + 10)
      local ok, bad = pcall(jobq.await, id, { timout = 1 })
      return jobq.done {
        jobq.must(jobq.await(id)).result.n, jobq.await(other, { timeout = 30 }).status,
        (message:gsub("%d+", "N")), code, (none:gsub("%d+", "N")), not_found, bad:match ": (.*)",
      }]]
    local job = db:wait_for(db:enqueue { "a.parent" }, "completed")
    assert.same({ 42, "failed", "job N is still pending", "timeout", "job N does not exist",
      "not_found", "unknown option 'timout', expected timeout",
    }, codec.decode(job.result))
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
