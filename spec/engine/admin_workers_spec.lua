local uv = require "luv"
local build = require "support.build"
local engine = require "support.engine"

local SLOW = [[
local jobq = require "jobq"
return { run = function(job)
  job.log:warn("began", { n = job.args.n })
  jobq.sleep(60)
end }
]]

local TALK = [[
return {
  say = { summary = "says it", args = { word = "string" },
    run = function(job) job.log:info(job.args.word) end },
  warn = { run = function(job) job.log:warn "careful" error("no") end, max_attempts = 1 },
}
]]

describe("jobq", function()
  local db

  before_each(function()
    db = engine.database()
  end)

  local function jobq(command, options)
    return engine.jobq(db, command, options)
  end

  local function ok(command, options)
    local answer = jobq(command, options)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  local function start(words)
    table.insert(words, 1, build.program "jobq")
    words.env = { JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = uv.cwd() .. "/scripts/admin" }
    return engine.process.start(words)
  end

  describe("workers stop", function()
    local function worker(name)
      return engine.worker(db, { ["slow.lua"] = SLOW }, { executors = 1, name = name })
    end

    local function run_slow(w)
      local id = db:enqueue { "slow", args = '{"n": 1}' }
      db:wait_until("it runs", "select exists (select from jobq.log where job_id = $1)", id)
      return id, w
    end

    it("ends the one that is meant, and only that", function()
      local one, two = worker "one", worker "two"
      assert.match("^worker two was asked to stop; its 0 jobs have its own grace$",
        ok("workers stop two --wait").out)
      assert.equal(0, two:wait())
      assert.is_true(one:is_running())
      assert.equal("one", ok("workers stop --json " .. one.id).json.items[1].name)
      assert.equal(0, one:wait())
    end)

    it("gives running jobs a grace, or none", function()
      local w = worker "one"
      local id = run_slow(w)
      assert.match("asked to stop; its 1 job have 1m$", ok("workers stop one --grace 60s").out)
      w:expect "stopping"
      assert.is_true(w:is_running())
      assert.equal("processing", db:job(id).status)
      assert.match("go back in line$", ok("workers stop one --now").out)
      assert.equal(0, w:wait())
      assert.equal("pending", db:job(id).status)
    end)

    it("asked again without a grace changes nothing", function()
      local w = worker "one"
      local id = run_slow(w)
      ok "workers stop one --grace 60s"
      w:expect "stopping"
      ok "workers stop one"
      ok "workers stop one --grace 300ms --wait"
      w:expect "the grace is over, stopping runs"
      assert.equal(0, w:wait())
      assert.equal("pending", db:job(id).status)
    end)

    it("of all asks first", function()
      local one, two = worker "one", worker "two"
      local answer = jobq "workers stop --all"
      assert.same({ 5, "" }, { answer.status, answer.out })
      assert.match("stopping 2 workers needs confirmation and stdin is not a terminal", answer.err)
      ok "workers stop --all --yes --wait"
      assert.same({ 0, 0 }, { one:wait(), two:wait() })
    end)

    it("knows who is not there, twice there, or not named", function()
      local one, two = worker "twin", worker "two"
      local answer = jobq "workers stop twni"
      assert.same({ 3, "jobq: no living worker is called 'twni'\nhint: did you mean 'twin'?" },
        { answer.status, answer.err })
      db:query "update jobq.worker set name = 'twin'"
      answer = jobq "workers stop twin"
      assert.equal(2, answer.status)
      assert.match("2 living workers are called 'twin'", answer.err)
      assert.match("WORKER is missing", jobq("workers stop").err)
      assert.match("WORKER excludes %-%-all", jobq("workers stop twin --all").err)
      assert.match("%-%-now excludes %-%-grace", jobq("workers stop twin --now --grace 1s").err)
      assert.same({ 0, 0 }, { one:stop(), two:stop() })
    end)
  end)

  describe("reload", function()
    local function worker(dir, name)
      return engine.worker(db, dir, { executors = 1, name = name })
    end

    it("waits until all serve the new handlers", function()
      local dir = engine.handlers { ["a.lua"] = "return { run = function() end }" }
      local one, two = worker(dir, "one"), worker(dir, "two")
      dir:write("b.lua", "return { run = function() end }")
      assert.equal("one  reloaded\ntwo  reloaded", ok("reload --wait").out)
      db:wait_for(db:enqueue { "b" }, "completed")
      assert.equal("2 workers were told; jobq workers shows what does not load", ok("reload").out)
      assert.same({ 0, 0 }, { one:stop(), two:stop() })
    end)

    it("of one leaves the others, and says with status 3 what does not load", function()
      local dir = engine.handlers { ["a.lua"] = "return { run = function() end }" }
      local one, two = worker(dir, "one"), worker(dir, "two")
      dir:write("a.lua", "return { timeot = 1, run = function() end }")
      local answer = jobq "reload --worker two --wait"
      assert.equal(3, answer.status)
      assert.match("^two  keeps its old handlers: .*a%.lua:1: [^\n]*'timeot'[^\n]*\n  hint: ",
        answer.out)
      assert.match("\ntwo [^\n]*'timeot'[^\n\\]*\n", jobq("workers").out)
      assert.match("^jobq: the handlers of 1 worker do not load\nhint: jobq check", answer.err)
      assert.same({ one = false, two = true }, {
        one = db:value "select load_error is not null from jobq.worker where name = 'one'",
        two = db:value "select load_error is not null from jobq.worker where name = 'two'",
      })
      answer = jobq "reload --wait --json"
      assert.equal(3, answer.status)
      assert.match("a%.lua:1", answer.json.items[1].load_error)
      assert.same({ 0, 0 }, { one:stop(), two:stop() })
    end)

    it("does not wait for ever", function()
      local w = worker({ ["a.lua"] = "return { run = function() end }" }, "one")
      w:signal "sigstop"
      local answer = jobq "reload --wait=200ms"
      w:signal "sigcont"
      assert.equal(1, answer.status)
      assert.match("after 200 ms not all have loaded", answer.err)
      assert.equal(0, w:stop())
    end)
  end)

  describe("kinds", function()
    it("tells who runs each, and which nobody does", function()
      local w = engine.worker(db, { ["talk.lua"] = TALK }, { executors = 1 })
      db:enqueue { "talk.sya", delay = "1 h" }
      local out = ok("kinds").out
      assert.match("talk%.say%s+default%s+0%s+1%s+says it%s+.*talk%.lua", out)
      assert.match("talk%.sya%s+default%s+1%s+none", out)
      assert.match("^kind[^\n]+\ntalk%.sya[^\n]+$", ok("kinds --orphans").out)
      local item = ok("kinds --kind talk.say --json").json.items[1]
      assert.same({ "talk.say", 1, "string" },
        { item.name, item.workers, item.schema.properties.word.type })
      assert.equal(0, w:stop())
      assert.match("talk%.say%s+default%s+0%s+none", ok("kinds").out)
    end)

    it("says when there are none", function()
      assert.equal("jobq: no kinds", jobq("kinds").err)
      assert.equal("jobq: no orphans", jobq("kinds --orphans").err)
    end)
  end)

  describe("why", function()
    it("tells what keeps a job, and what to do", function()
      db:enqueue { "a" }
      assert.equal("no worker is alive\n  start one: jobq-run handlers/", ok("why 1").out)
      assert.equal("no_worker", ok("why 1 --json").json.items[1].code)
      assert.equal(3, jobq("why 7").status)
    end)
  end)

  describe("logs", function()
    local w

    local function talk()
      w = engine.worker(db, { ["talk.lua"] = TALK, ["slow.lua"] = SLOW }, { executors = 1 })
      for _, word in ipairs { "one", "two", "three" } do
        db:wait_for(db:enqueue { "talk.say", args = ('{"word": "%s"}'):format(word) }, "completed")
      end
      db:wait_for(db:enqueue { "talk.warn" }, "failed")
      db:wait_until("all lines are stored", "select count(*) = 4 from jobq.log")
    end

    local function words(command)
      local list = {}
      for line in (ok(command .. " --json").out .. "\n"):gmatch "(.-)\n" do
        table.insert(list, line:match '"message":"(.-)"')
      end
      return table.concat(list, " ")
    end

    it("come from one job, many, or all, the oldest first", function()
      talk()
      assert.match("^%d%d%d%d%-%d%d%-%d%d [%d:.]+ info   two$", ok("logs 2").out)
      assert.equal("one two three careful", words "logs")
      assert.equal("three careful", words "logs --tail 2")
      assert.equal("careful", words "logs --level warn")
      assert.equal("one two three", words "logs --kind talk.s*")
      assert.equal("careful", words "logs --status failed")
      assert.equal("one two three careful", words "logs --since 1h")
      assert.equal("", words "logs --until 1h")
      assert.match(" info   2 talk%.say  two\n", ok("logs --queue default").out)
      assert.equal(0, w:stop())
    end)

    it("of a job that is not there, or of too much", function()
      assert.equal(3, jobq("logs 7").status)
      assert.match("not both", jobq("logs 7 --kind x").err)
      assert.equal("jobq: no lines", jobq("logs").err)
    end)

    it("are followed until the job ends, each line once", function()
      w = engine.worker(db, { ["slow.lua"] = SLOW }, { executors = 1 })
      local id = db:enqueue { "slow", args = '{"n": 7}' }
      db:wait_until("it runs", "select count(*) = 1 from jobq.log")
      local p = start { "logs", "-f", tostring(id) }
      p:wait_until(function() return p:output():find '"n": 7' end, "the first line")
      local at = db:value "select now()::text"
      local function insert(message, when)
        db:query("insert into jobq.job_log (job_id, at, attempt, level, message) " ..
          "values ($1, $2::timestamptz, 1, 1, $3)", id, when or at, message)
        p:wait_until(function() return p:output():find(message) end, "a line that came later")
      end
      insert("late", db:value "select (now() - interval '20 s')::text")
      insert "same"
      insert "same"
      insert "other"
      db:query("select jobq.cancel($1)", id)
      assert.equal(0, p:wait())
      local n = {}
      for word in p:output():gmatch "%a+" do
        n[word] = (n[word] or 0) + 1
      end
      assert.same({ 1, 1, 2 }, { n.began, n.late, n.same })
      assert.equal(0, w:stop())
    end)

    it("of many are followed until Ctrl-C", function()
      talk()
      local p = start { "logs", "-f", "--kind", "talk.*", "--tail", "0" }
      db:wait_until("it has looked", [[select exists (select from pg_stat_activity
        where query like '%jobq.log l join%' and state = 'idle' and pid <> pg_backend_pid())]])
      local id = db:enqueue { "talk.say", args = '{"word": "new"}' }
      p:wait_until(function() return p:output():find "talk.say  new" end, "the new line")
      assert.match((" info   %d talk%%.say  new$"):format(id), p:output())
      assert.is_nil(p:output():find "one")
      p:signal "sigint"
      assert.equal(130, p:wait())
      assert.equal(0, w:stop())
    end)
  end)
end)
