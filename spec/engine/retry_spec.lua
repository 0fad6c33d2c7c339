local engine = require "support.engine"

local DEMO = [[
local jobq = require "jobq"

return {
  flaky = {
    run = function(job)
      if job.attempt < 3 then
        error("http 503, attempt " .. job.attempt)
      end
      return jobq.done { on = job.attempt }
    end,
  },
  broken = {
    max_attempts = 2,
    retry_delay = 0.2,
    run = function(job)
      local order = {}
      return order.customer.name
    end,
  },
  says_no = {
    max_attempts = 1,
    run = function() return nil, "the file is gone" end,
  },
  raises_table = {
    max_attempts = 1,
    run = function() error { message = "no such mailbox", code = "smtp_550" } end,
  },
  hopeless = { run = function() return jobq.discard "no such user" end },
  snoozes = {
    max_attempts = 1,
    run = function(job)
      if not io.open(job.args.file) then
        io.open(job.args.file, "w"):close()
        return jobq.snooze(0.2)
      end
    end,
  },
  limited = {
    max_attempts = 1,
    run = function(job)
      jobq.parallel { function() error(jobq.discard("deep down: " .. job.id)) end }
    end,
  },
  later = {
    max_attempts = 2,
    run = function(job)
      if job.attempt == 1 then
        return jobq.retry("the api asks for a pause", 0.3)
      end
    end,
  },
}
]]

describe("a job that fails", function()
  local db, worker

  before_each(function()
    db = engine.database()
    worker = engine.worker(db, { ["demo.lua"] = DEMO }, { executors = 1 })
  end)

  after_each(function()
    assert.equal(0, worker:stop())
  end)

  it("runs again after 2 s and after 4 s", function()
    local id = db:enqueue { "demo.flaky" }
    local job = db:wait_for(id, "completed")
    assert.equal(3, job.attempt)
    assert.equal('{"on":3}', (job.result:gsub("%s", "")))
    local trail = db:query([[
      select attempt, outcome, error,
        extract(epoch from lead(started_at) over (order by attempt) - finished_at)::float8 as pause
      from jobq.attempts($1::bigint) order by attempt]], id)
    assert.equal(3, #trail)
    assert.match("demo.lua:%d+: http 503, attempt 1", trail[1].error)
    assert.near(2.2, trail[1].pause, 0.4)
    assert.match("attempt 2", trail[2].error)
    assert.near(4.2, trail[2].pause, 0.4)
  end)

  it("fails for good when its attempts are used up, with file, line and traceback", function()
    local id = db:enqueue { "demo.broken" }
    local job = db:wait_for(id, "failed")
    assert.equal(2, job.attempt)
    local first = job.error:match "^[^\n]*"
    assert.match("demo.lua:%d+: attempt to index a nil value %(field 'customer'%)", first)
    assert.match("stack traceback:\n", job.error)
    assert.equal(2, #db:query("select * from jobq.attempts($1::bigint)", id))
  end)

  it("takes the number of attempts from enqueue before that of its kind", function()
    local id = db:enqueue { "demo.broken", max_attempts = 1 }
    assert.equal(1, db:wait_for(id, "failed").attempt)
  end)

  it("may say so with nil and a message, or with a table", function()
    local polite = db:enqueue { "demo.says_no" }
    local rude = db:enqueue { "demo.raises_table" }
    assert.match("the file is gone", db:wait_for(polite, "failed").error)
    assert.match("no such mailbox", db:wait_for(rude, "failed").error)
  end)

  it("is not tried again once discarded", function()
    local id = db:enqueue { "demo.hopeless" }
    local job = db:wait_for(id, "failed")
    assert.equal(1, job.attempt)
    assert.match("no such user", job.error)
  end)

  it("may raise its verdict", function()
    local id = db:enqueue { "demo.limited" }
    assert.equal("deep down: " .. id, db:wait_for(id, "failed").error)
  end)

  it("waits as long as it asks to", function()
    local id = db:enqueue { "demo.later" }
    assert.equal(2, db:wait_for(id, "completed").attempt)
    local first = db:row("select * from jobq.attempts($1::bigint) order by attempt limit 1", id)
    assert.match("the api asks for a pause", first.error)
  end)

  it("and a snooze uses no attempt", function()
    local file = os.tmpname()
    os.remove(file)
    finally(function() os.remove(file) end)
    local id = db:enqueue { "demo.snoozes", args = ('{"file": "%s"}'):format(file) }
    assert.equal(1, db:wait_for(id, "completed").attempt)
  end)

  it("can be retried by hand, with its id", function()
    local id = db:enqueue { "demo.says_no" }
    db:wait_for(id, "failed")
    assert.is_true(db:value("select jobq.retry($1::bigint)", id))
    db:wait_until("its second run",
      "select attempt = 2 and status = 'failed' from jobq.find($1::bigint)", id)
  end)
end)
