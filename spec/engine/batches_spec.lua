local engine = require "support.engine"

-- Walks a tree: each member adds two more below it, by job.batch, until the depth is reached.
local HANDLERS = { ["t.lua"] = [[
  local jobq = require "jobq"
  return {
    start = { run = function()
      local batch = jobq.must(jobq.batch {
        name = "tree", on_success = { kind = "t.report", args = { what = "success" } },
        on_failure = "t.report", on_complete = { kind = "t.report", args = { what = "complete" } },
      })
      jobq.must(batch:enqueue_many("t.node", { { depth = 0 }, { depth = 0 } }))
      jobq.must(batch:close())
      return jobq.done { batch = batch.id }
    end },
    node = { retry_delay = 0, run = function(job)
      if job.args.depth < 4 then
        local below = { { depth = job.args.depth + 1 }, { depth = job.args.depth + 1 } }
        if job.attempt == 1 and job.id % 3 == 0 then
          error "once"
        end
        jobq.must(jobq.sql.transaction(function(tx)
          jobq.must(tx:batch(job.batch):enqueue_many("t.node", below))
          tx:complete()
        end))
      end
    end },
    broken = { max_attempts = 1, run = function(job)
      local child = jobq.must(job.batch:batch { name = "child" })
      jobq.must(child:enqueue "t.quick")
      jobq.must(child:close())
      error(job.batch.id)
    end },
    quick = { run = function() end },
    report = { run = function(job) return jobq.done(job.args) end },
  }]] }

describe("batches of a worker", function()
  local db

  before_each(function()
    db = engine.database()
  end)

  local function status(id)
    return db:row("select * from jobq.batch_status where id = $1", id)
  end

  local function wait_for_end(id)
    db:wait_until("the batch has ended",
      "select ended_at is not null from jobq.batch where id = $1", id)
  end

  it("grow while they run, and call back when the last member has ended", function()
    local w = engine.worker(db, HANDLERS, { executors = 2 })
    local id = db:enqueue { "t.start" }
    db:wait_for(id, "completed")
    wait_for_end(1)
    local s = status(1)
    assert.same({ "completed", 62, 62, 100 }, { s.status, s.total, s.succeeded, s.percent })
    db:wait_until("both callbacks have run", [[select count(*) = 2 from jobq.job
      where kind = 't.report' and status = 'completed'
        and (args -> 'batch' ->> 'total')::int = 62]])
    assert.equal(0, w:stop())
  end)

  it("that drains is not over before they have called back", function()
    local id = db:value [[select jobq.open_batch(on_failure => '"t.report"',
      on_complete => '"t.report"')]]
    db:enqueue { "t.broken", batch = id }
    db:query("select jobq.close_batch($1)", id)
    local w = engine.worker(db, HANDLERS, { drain = true })
    assert.equal(0, w:wait())
    local s = status(id)
    assert.same({ "failed", 2, 1, 1 }, { s.status, s.total, s.succeeded, s.failed })
    assert.equal(2, db:value [[select count(*) from jobq.job
      where kind = 't.report' and status = 'completed']])
  end)
end)
