local uv = require "luv"
local build = require "support.build"
local engine = require "support.engine"

describe("jobq, for many jobs,", function()
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

  -- On a terminal of its own: everything that it showed, and the exit status.
  local function on_terminal(command, input)
    local p = engine.process.start {
      "script", "-qec", ("stty cols 80; %s %s"):format(build.program "jobq", command), "/dev/null",
      stdin = input, env = {
        JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = uv.cwd() .. "/scripts/admin", TERM = "xterm",
      },
    }
    local status = p:wait()
    return p:output():gsub("\r", ""), status
  end

  local function ended(status, id, error_text)
    db:query("select jobq.cancel($1)", id)
    db:query([[update jobq.finished set status = $2::jobq.ending, error = $3::text,
      finished_at = now() - make_interval(mins => $1::int) where id = $1]], id, status, error_text)
  end

  -- Jobs 1 to 6; the last step of job N was N minutes ago if it ended.
  local function six()
    for i = 1, 6 do
      db:enqueue {
        i % 2 == 0 and "email.send" or "file.scan",
        args = ('{"n": %d, "to": ["a%d"]}'):format(i, i),
        tags = { i > 3 and "late" or "early" },
      }
    end
    ended("failed", 1, "smtp 421 Too many")
    ended("failed", 2, "smtp 421 too many")
    ended("failed", 3, "no such file")
    ended("cancelled", 4)
  end

  local function ids(options)
    local list = {}
    for _, item in ipairs(ok("jobs --json --sort id " .. options).json.items) do
      table.insert(list, tonumber(item.id))
    end
    return list
  end

  local function statuses()
    return db:value [[select string_agg(left(status, 1), '' order by id) from jobq.job]]
  end

  describe("the filter", function()
    before_each(six)

    it("takes any of several statuses and kinds, and all tags", function()
      assert.same({ 1, 2, 3, 4 }, ids "--status failed --status cancelled")
      assert.same({ 2, 4, 6 }, ids "--kind email.*")
      assert.same({ 1, 2, 3, 4, 5, 6 }, ids "--kind email.* --kind file.scan")
      assert.same({}, ids "--tag late --tag early")
    end)

    it("takes arguments, also inside others", function()
      assert.same({ 3 }, ids "--arg n=3")
      assert.same({ 5 }, ids "--arg to.0=a5")
      assert.same({}, ids "--arg to.0=a5 --arg n=3")
      assert.same({}, ids "--arg x=")
    end)

    it("takes a text of the error, in capitals or not, as it is", function()
      assert.same({ 1, 2 }, ids "--error 421")
      assert.same({ 1, 2 }, ids "--error MANY")
      assert.same({}, ids "--error 4%1")
    end)

    it("takes times, as durations and as points", function()
      assert.same({ 3, 4 }, ids "--until 150s")
      assert.same({ 1, 2, 5, 6 }, ids "--since 150s")
      local at = db:value [[select to_char(now() at time zone 'UTC' - interval '150 s',
        'YYYY-MM-DD"T"HH24:MI:SS"Z"')]]
      assert.same({ 3, 4 }, ids("--until " .. at))
      assert.same({ 2 }, ids "--since 150s --until 90s")
    end)

    it("takes the name or the id of a worker", function()
      local w = engine.worker(db, { ["x.lua"] = "return { run = function() end }" },
        { executors = 1, name = "web-1" })
      local id = db:enqueue { "x" }
      db:wait_for(id, "completed")
      assert.same({ id }, ids "--worker web-1")
      assert.same({ id }, ids("--worker " .. w.id))
      assert.same({}, ids "--worker web-2")
      assert.equal(0, w:stop())
    end)

    for words, expected in pairs {
      ["jobs --since soon"] = "%-%-since: 'soon' is neither a duration nor a time\nhint: write 30m",
      ["jobs --since 2030-77-01"] = "2030%-77%-01",
      ["jobs --arg x"] = "%-%-arg: 'x' is not of the form name=value",
      ["jobs --status faild"] = "did you mean 'failed'%?",
      ["jobs --columns id,knd"] = "'knd' is none of .*\nhint: did you mean 'kind'%?",
      ["jobs --sort size"] = "'size' is none of id, created",
      ["jobs --sort kind --next 3"] = "%-%-next goes by id",
      ["retry"] = "ID is missing.*\nhint: jobq retry %-%-status failed %-%-dry%-run",
      ["retry 1 --kind x"] = "not both",
      ["retry 1 --over 10m"] = "%-%-over is for jobs that options choose",
      ["retry --status pending"] = "%-%-status: pending jobs cannot be retried\nhint: exp",
      ["retry --kind x --attempts 0"] = "%-%-attempts: '0' is not an integer from 1 to 1000",
      ["retry 1 --gap 1s"] = "%-%-gap is for jobs that options choose",
      ["retry --kind x --gap 1s --over 1m"] = "give %-%-over or %-%-gap, not both",
      ["retry 1 --priority 10"] = "%-%-priority: '10' is not an integer from 0 to 9",
      ["edit --kind x"] = "nothing to change is given\nhint: %-%-priority, %-%-at or %-%-to%-queue",
      ["edit --kind x --set a=1"] = "%-%-set is for one job",
      ["edit 1 --queue x --priority 1"] = "not both",
      ["edit --status failed --priority 1"] = "failed jobs cannot be changed",
      ["snooze 1"] = "expected one duration, got 0\nhint: jobq snooze 42 10m",
      ["snooze 1 soon"] = "'soon' is not a duration",
      ["snooze 1 0s"] = "expected more than 0",
      ["snooze 10m"] = "ID is missing",
      ["delete"] = "ID is missing.*\nhint: jobq delete %-%-status failed %-%-dry%-run",
      ["delete --status pending"] = "pending jobs cannot be deleted",
      ["cancel 1 --after 3"] = "%-%-after is for jobs that options choose",
      ["cancel"] = "ID is missing",
      ["cancel 1 --queue x"] = "not both",
      ["cancel --status failed"] = "failed jobs cannot be cancelled",
    } do
      it("refuses: " .. words, function()
        local answer = jobq(words)
        assert.same({ 2, "" }, { answer.status, answer.out })
        assert.match(expected, answer.err)
        assert.equal("fffcpp", statuses())
      end)
    end
  end)

  describe("a list", function()
    before_each(six)

    it("shows the columns that were asked for, in that order", function()
      assert.equal("kind        id  error\nemail.send   2  smtp 421 too many",
        ok("jobs --columns kind,id,error --arg n=2").out)
    end)

    it("sorts", function()
      local list = {}
      for id in ok("jobs --sort step --status failed --columns id").out:gmatch "%d+" do
        table.insert(list, id)
      end
      assert.same({ "3", "2", "1" }, list)
    end)

    it("is watched: a pipe gets each anew, until Ctrl-C", function()
      local p = engine.process.start {
        build.program "jobq", "jobs", "--watch=0.1", "--columns", "id", "--status", "pending",
        env = { JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = uv.cwd() .. "/scripts/admin" },
      }
      p:wait_until(function() return p:output():find "\n 6\n.*\n 6\n" end, "the list to come twice")
      db:query "select jobq.cancel(6)"
      p:wait_until(function()
        return p:output():match "^.*(%d%d:%d%d:%d%d\nid\n.-)$":find "^[%d:]+\nid\n 5"
      end, "the cancelled job to go")
      p:signal "sigint"
      assert.equal(130, p:wait())
    end)

    it("has colours on a terminal, unless they are refused", function()
      assert.match("\27%[31mfailed\27%[0m", (on_terminal "jobs"))
      assert.is_nil((on_terminal "jobs --no-color"):find "\27")
      assert.is_nil(ok("jobs").out:find "\27")
    end)
  end)

  describe("retry", function()
    before_each(six)

    it("shows with --dry-run what it would do, and does nothing", function()
      local answer = jobq "retry --kind email.* --status failed --status cancelled --dry-run"
      assert.equal(0, answer.status)
      assert.match("^kind%s+status%s+jobs%s+oldest%s+newest%s+error\n" ..
        "email.send%s+cancelled%s+1%s+4m ago", answer.out)
      assert.equal("jobq: this would retry 2 jobs", answer.err)
      local item = ok("retry --error 421 --dry-run --json").json.items[1]
      assert.same({ "failed", 1 }, { item.status, item.jobs })
      assert.equal("fffcpp", statuses())
    end)

    it("refuses to do it unasked in a pipe, and says how", function()
      local answer = jobq "retry --status failed"
      assert.same({ 5, "jobq: retrying 3 jobs needs confirmation and stdin is not a terminal\n" ..
        "hint: pass --yes, or --dry-run to see them" }, { answer.status, answer.err })
      assert.equal("fffcpp", statuses())
      assert.match("%-%-no%-input is given", (on_terminal "retry --status failed --no-input"))
    end)

    it("means the failed ones", function()
      local answer = jobq { "retry", "--kind", "*", "--yes" }
      assert.equal(0, answer.status)
      assert.match("\n3 jobs pending again, 0 skipped$", answer.out)
      assert.equal("pppcpp", statuses())
    end)

    it("does not ask for a single one", function()
      assert.equal("1 job pending again, 0 skipped", ok("retry --error file").out)
    end)

    it("asks on a terminal, and the default is no", function()
      local out, status = on_terminal("retry --status failed", "\n")
      assert.match("retry 3 jobs%? %[y/N%]", out)
      assert.match("nothing was changed", out)
      assert.same({ 5, "fffcpp" }, { status, statuses() })
      out, status = on_terminal("retry --status failed --over 10m", "y\n")
      assert.match("retry 3 jobs spread over 10m%? %[y/N%]", out)
      assert.same({ 0, "pppcpp" }, { status, statuses() })
    end)

    it("spreads them, with more attempts", function()
      ok "retry --status failed --over 15m --attempts 7 --yes --json"
      assert.same({ { wait = 0, max = 7 }, { wait = 5, max = 7 }, { wait = 10, max = 7 } },
        db:query [[select round(extract(epoch from run_at - now()) / 60)::int as wait,
          max_attempts as max from jobq.ready where id < 4 order by run_at]])
    end)

    it("counts those that cannot wait again", function()
      db:enqueue { "file.scan", unique_key = "k" }
      db:query [[update jobq.finished set meta = '{"unique": "k"}' where id in (1, 3)]]
      assert.same({ matched = 3, changed = 1, skipped = 2 },
        ok("retry --status failed --yes --json").json)
      assert.equal("fpfcppp", statuses())
    end)

    it("leaves alone what failed after the preview", function()
      db:query "update jobq.finished set finished_at = now() + interval '1 min' where id = 2"
      assert.same({ matched = 2, changed = 2, skipped = 0 },
        ok("retry --status failed --yes --json").json)
      assert.equal("pfpcpp", statuses())
    end)

    it("by id says on which worker it runs", function()
      local w = engine.worker(db, { ["x.lua"] = [[local jobq = require "jobq"
        return { run = function() jobq.sleep(60) end }]] }, { executors = 1, name = "web-1" })
      db:enqueue { "x" }
      db:wait_for(7, "processing")
      assert.equal("jobq: job 7 is processing on web-1, expected failed, cancelled or completed",
        jobq("retry 7").err)
      w:kill()
    end)
  end)

  describe("thousands", function()
    local function thousands()
      db:query [[select jobq.enqueue_many('bulk', array_fill('{}'::jsonb, array[2300]))]]
    end

    it("are cancelled a thousand at a time, with a reason, after the number was typed", function()
      thousands()
      local out, status = on_terminal("cancel --kind bulk --reason 'not needed'", "y\n")
      assert.match("cancel 2300 jobs%? type the number to go on", out)
      assert.equal(5, status)
      assert.equal(2300, db:value "select count(*) from jobq.ready")
      out, status = on_terminal("cancel --kind bulk --reason 'not needed'", "2300\n")
      assert.match("1000 of 2300\n.*2000 of 2300\n.*2300 jobs cancelled", out)
      assert.equal(0, status)
      assert.same({ n = 2300, transactions = 3 }, db:row [[select count(*) as n,
        count(distinct xmin::text) as transactions from jobq.finished_cancelled
        where error = 'not needed']])
    end)

    it("that cannot be changed are passed over", function()
      local holder = db:enqueue { "a", unique_key = "k" }
      thousands()
      db:query "select jobq.cancel_many(array(select id from jobq.ready where id > 1))"
      db:query([[update jobq.finished set meta = '{"unique": "k"}', status = 'failed',
        kind_id = (select kind_id from jobq.ready where id = $1) where id < 2000]], holder)
      assert.same({ matched = 2300, changed = 302, skipped = 1998 }, ok(
        "retry --status failed --status cancelled --yes --json").json)
    end)

    it("are left where an interrupt found them, and the same command goes on", function()
      thousands()
      local blocker = db:connect()
      assert(blocker:query "begin")
      assert(blocker:query "select from jobq.ready where id = 1500 for update")
      local p = engine.process.start {
        build.program "jobq", "cancel", "--kind", "bulk", "--yes",
        env = { JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = uv.cwd() .. "/scripts/admin" },
      }
      db:wait_until("the second thousand waits for a lock", [[select count(*) = 1
        from pg_stat_activity where wait_event_type = 'Lock' and query like '%cancel_many%']])
      p:signal "sigint"
      assert(blocker:query "rollback")
      assert.equal(130, p:wait())
      assert.match("interrupted after 2000 of 2300; the same command goes on with %-%-after 2000",
        p:errors())
      assert.equal(300, db:value "select count(*) from jobq.ready")
      assert.match("300 jobs cancelled", jobq("cancel --kind bulk --yes --after 2000").out)
    end)
  end)

  describe("redriving", function()
    before_each(six)

    it("shows first which errors there are, with numbers that differ as one", function()
      ended("failed", 5, "smtp 450 too many\nstack traceback:")
      local items = ok("retry --status failed --dry-run --json").json.items
      local lines = {}
      for i, item in ipairs(items) do
        lines[i] = ("%s %s %d"):format(item.kind, item.error, item.jobs)
      end
      assert.same({ "email.send smtp N too many 1", "file.scan no such file 1",
        "file.scan smtp N Too many 1", "file.scan smtp N too many 1" }, lines)
      ended("failed", 6, "smtp 1 too many")
      assert.equal(2, ok("retry --error smtp --dry-run --json").json.items[1].jobs)
    end)

    it("goes one after the other, with a priority", function()
      ok "retry --status failed --gap 60s --priority 9 --yes --json"
      assert.same({ 0, 1, 2 }, db:value [[select array_agg(
        round(extract(epoch from run_at - now()) / 60)::int order by id)
        from jobq.ready where id < 4 and priority = 9]])
      assert.equal("job 4 is pending again", ok("retry 4 --priority 1").out)
      assert.equal(1, db:job(4).priority)
    end)

    it("goes on behind a job, and meets none twice that failed again", function()
      assert.same({ matched = 2, changed = 2, skipped = 0 },
        ok("retry --status failed --yes --after 1 --json").json)
      assert.equal("fppcpp", statuses())
    end)
  end)

  describe("those that wait", function()
    before_each(six)

    local function waiting(what)
      return db:value(("select array_agg(%s order by id) from jobq.job where id > 4"):format(what))
    end

    it("get another priority, time and queue", function()
      local answer = jobq "edit --status pending --priority 8 --to-queue bulk --dry-run"
      assert.equal("jobq: this would change 2 jobs", answer.err)
      assert.match("\n2 jobs changed, 0 skipped$", jobq(
        "edit --status pending --priority 8 --to-queue bulk --at 2040-01-01 --yes").out)
      assert.same({ 8, 8 }, waiting "priority")
      assert.same({ "bulk", "bulk" }, waiting "queue")
      assert.same({ 2040, 2040 }, waiting "extract(year from run_at)::int")
      assert.equal("fffcpp", statuses())
    end)

    it("are moved by id, unless they do not wait", function()
      assert.match("job 5 is pending, priority 5", ok("edit 5 --to-queue bulk").out)
      assert.equal("bulk", db:job(5).queue)
      assert.equal("jobq: job 1 does not wait, so it is in no queue",
        jobq("edit 1 --to-queue bulk").err)
    end)

    it("are put off, by id or by choice", function()
      assert.equal("job 5 is put off by 10m", ok("snooze 5 10m").out)
      local answer = jobq "snooze 1 5 9 10m"
      assert.equal(3, answer.status)
      assert.match("job 1 is failed, expected pending\njobq: job 9 does not exist", answer.err)
      assert.same({ matched = 2, changed = 2, skipped = 0 },
        ok("snooze --status pending 1h --yes --json").json)
      assert.same({ 80, 60 }, waiting "round(extract(epoch from run_at - now()) / 60)::int")
    end)
  end)

  describe("those that have ended", function()
    before_each(six)

    it("are deleted, by id or by choice", function()
      assert.equal("job 4 deleted", ok("delete 4").out)
      assert.equal("jobq: job 5 is pending, expected completed, failed or cancelled",
        jobq("delete 5").err)
      assert.equal("jobq: this would delete 2 jobs", jobq("delete --error 421 --dry-run").err)
      assert.match("\n2 jobs deleted, 0 skipped$", jobq("delete --error 421 --yes").out)
      assert.equal("fpp", statuses())
    end)
  end)

  it("cancel asks running ones to stop and means no others", function()
    six()
    local w = engine.worker(db, { ["x.lua"] = [[local jobq = require "jobq"
      return { run = function() jobq.sleep(60) end }]] }, { executors = 1 })
    db:enqueue { "x" }
    db:wait_for(7, "processing")
    assert.match("\n3 jobs cancelled or asked to stop, 0 skipped$",
      jobq("cancel --since 1h --yes").out)
    db:wait_for(7, "cancelled")
    assert.equal("fffcccc", statuses())
    assert.equal(0, w:stop())
  end)
end)
