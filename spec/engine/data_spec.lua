local engine = require "support.engine"

local ECHO = [[
local jobq = require "jobq"

return {
  args = { run = function(job) return jobq.done(job.args) end },
  math = {
    run = function(job)
      return jobq.done { next = job.args.n - 1, is = math.type(job.args.n) }
    end,
  },
  raise = {
    max_attempts = 1,
    run = function(job) error(job.args.text:rep(job.args.times), 0) end,
  },
  nul = { max_attempts = 1, run = function() error("a\0b", 0) end },
  bytes = { max_attempts = 1, run = function() error("caf\xe9 \xff ok", 0) end },
  nul_result = { run = function() return jobq.done { text = "a\0b", bytes = "\xff" } end },
  no_json = { run = function() return jobq.done { f = print } end },
  nan = { run = function() return jobq.done { n = 0/0 } end },
  big_result = { run = function() return jobq.done { text = ("x"):rep(3000000) } end },
  logs = {
    run = function(job)
      job.log:info("with a\0b and \xff", { n = math.maxinteger, text = "\xff\0" })
      for i = 1, 1500 do
        job.log:debug("line " .. i)
      end
    end,
  },
}
]]

describe("data", function()
  local db, worker, neighbours

  before_each(function()
    db = engine.database()
    neighbours = {}
    worker = engine.worker(db, { ["echo.lua"] = ECHO }, { executors = 1 })
  end)

  -- Enqueues the job between others that would share its batch, then waits for all.
  local function run(job, status)
    local id
    db:query "begin"
    for i = 1, 7 do
      if i == 4 then
        id = db:enqueue(job)
      else
        table.insert(neighbours, db:enqueue { "echo.args", args = '{"i": 1}' })
      end
    end
    db:query "commit"
    return db:wait_for(id, status or "completed"), id
  end

  after_each(function()
    for _, id in ipairs(neighbours) do
      assert.equal(1, db:wait_for(id, "completed").attempt)
    end
    assert.equal(0, worker:stop())
  end)

  local function same_json(expected, actual)
    assert.is_true(db:value("select $1::jsonb = $2::jsonb", expected, actual))
    return actual
  end

  it("keeps integers to 2^63-1, doubles, null, empty arrays and texts", function()
    local args = '{"big": 9223372036854775807, "small": -9223372036854775808, "real": 0.1, ' ..
      '"tiny": 2.5e-300, "none": null, "list": [], "empty": {}, "text": "ä€😀\\u001b\\n\\""}'
    same_json(args, run({ "echo.args", args = args }).result)
  end)

  it("gives integers to Lua as integers", function()
    local job = run { "echo.math", args = '{"n": 9223372036854775807}' }
    same_json('{"next": 9223372036854775806, "is": "integer"}', job.result)
  end)

  it("cuts an error of 10 MB and says so", function()
    local job = run({ "echo.raise", args = '{"text": "0123456789", "times": 1000000}' }, "failed")
    assert.is_true(#job.error < 70000)
    assert.match("^01234567890123456789", job.error)
    assert.match("cut", job.error)
  end)

  it("cleans NUL and invalid UTF-8 out of errors", function()
    local with_nul = run({ "echo.nul" }, "failed")
    assert.match("^a.*b", with_nul.error)
    assert.match("^caf\u{fffd} \u{fffd} ok", run({ "echo.bytes" }, "failed").error)
  end)

  it("cleans results, too", function()
    local job = run { "echo.nul_result" }
    assert.equal("completed", job.status)
    assert.is_true(db:value("select $1::jsonb ->> 'text' like 'a%b'", job.result))
  end)

  for _, kind in ipairs { "no_json", "nan", "big_result" } do
    it("never loses an outcome for a result that cannot be kept: " .. kind, function()
      local id = select(2, run { "echo." .. kind })
      assert.equal("completed", db:job(id).status)
      db:wait_until("its log says why",
        "select count(*) > 0 from jobq.log where job_id = $1::bigint and level = 'warn'", id)
    end)
  end

  it("stores logs, cleans them, and drops what is too much with a note", function()
    local id = select(2, run { "echo.logs" })
    db:wait_until("the log is there", "select count(*) >= 1001 from jobq.log where job_id = $1", id)
    local first = db:row("select message, fields->>'n' as n from jobq.log where job_id = $1 " ..
      "and level = 'info' order by at limit 1", id)
    assert.match("^with a", first.message)
    assert.equal("9223372036854775807", first.n)
    assert.is_true(db:value("select bool_or(message like '%more lines dropped%') from jobq.log " ..
      "where job_id = $1::bigint", id))
  end)
end)
