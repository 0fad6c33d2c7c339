local engine = require "support.engine"

local HANDLER = [[
local jobq = require "jobq"
return { max_attempts = 1, run = function(job)
  jobq.step("charge", function() return { id = 7 } end)
  jobq.step("mail", 2, function() end)
  local paid = jobq.wait_event("paid." .. job.id, { timeout = job.args.timeout })
  if job.args.fail then error "boom" end
  return jobq.done(paid)
end }]]

describe("jobq", function()
  local db, w

  before_each(function()
    db = engine.database()
    w = engine.worker(db, { ["order.lua"] = HANDLER }, { executors = 1 })
  end)

  local function jobq(command)
    return engine.jobq(db, command)
  end

  local function ok(command)
    local answer = jobq(command)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  local function waiting(args)
    local id = db:enqueue { "order", args = args }
    db:wait_until("it is parked", "select exists (select from jobq.parked where job_id = $1)", id)
    return id
  end

  it("job shows steps and waits, why says for what, emit brings it", function()
    local id = waiting '{"timeout": 7200}'
    local out = ok("job " .. id).out
    assert.matches("\nstep +is +when +took +result *\n", out)
    assert.matches('\ncharge +step +[^\n]*{"id":7}\n', out)
    assert.matches("\nmail 2 +step", out)
    assert.matches("\npaid.1 +event +waits until in 1h", out)
    assert.matches('^it waits for the event "paid.1", until .* UTC %(1h from now%)\n'
      .. "  jobq emit 'paid.1' brings it", ok("why " .. id).out)
    local steps = ok("job " .. id .. " --json").json.steps
    assert.same({ "charge", "step", 7 }, { steps[1].name, steps[1].what, steps[1].value.id })
    assert.equal(require("jobq.json").null, steps[3].ended_at)
    assert.equal("emitted paid.1", ok("emit paid.1 {\"cents\":5} --id x").out)
    assert.equal('{"cents":5}', db:wait_for(id, "completed").result)
    assert.matches('paid.1 +event +[^\n]*{"cents": 5}', ok("job " .. id .. " --steps").out)
    assert.equal("paid.1 was emitted with id x already", ok("emit paid.1 --id x").out)
    assert.is_false(ok("emit paid.1 --id x --json").json.added)
    assert.equal(2, jobq("emit paid.1 {").status)
    assert.equal(0, w:stop())
  end)

  it("job shows a wait without an end, and one that was in vain", function()
    local id = waiting '{}'
    assert.matches("\npaid.1 +event +waits *\n?", ok("job " .. id).out)
    assert.matches("\nto run never, never\n", ok("job " .. id).out)
    id = db:enqueue { "order", args = '{"timeout": 0}' }
    db:wait_for(id, "completed")
    assert.matches("\npaid.2 +event +[^\n]*timeout", ok("job " .. id).out)
    assert.equal(0, w:stop())
  end)

  it("retry goes on behind the steps, or from one of them", function()
    local id = db:enqueue { "order", args = '{"timeout": 0, "fail": true}' }
    db:wait_for(id, "failed")
    local function steps()
      return db:value("select min(ended_at)::text || max(ended_at)::text from jobq.steps($1)", id)
    end
    local before = steps()
    ok("retry " .. id)
    db:wait_for(id, "failed")
    assert.equal(before, steps())
    local answer = jobq(("retry %d --from-step chrge"):format(id))
    assert.equal(2, answer.status)
    assert.matches('job %d has no step "chrge"', answer.err)
    ok(("retry %d --from-step mail"):format(id))
    db:wait_for(id, "failed")
    assert.equal(before:sub(1, 26), steps():sub(1, 26))
    assert.is_true(before < steps())
    answer = jobq "retry --kind order --from-step a"
    assert.matches("^jobq: %-%-from%-step goes with ids", answer.err)
    assert.equal(0, w:stop())
  end)
end)
