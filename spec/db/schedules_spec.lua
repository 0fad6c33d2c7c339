local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("a schedule", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "report" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  --- Each minute, unless options say else. Answers the name.
  local function schedule(options)
    options = options or {}
    db:query([[select jobq.schedule('s', $1, 'report', coalesce($2::jsonb, '{}'), overlap => $3,
      missed => $4, missed_window => $5::interval, jitter => $6::interval, options => $7::jsonb)]],
      options.line or "* * * * *", options.args, options.overlap, options.missed, options.window,
      options.jitter, options.options)
  end

  --- As if its next tick had been then: an interval before now. Later ones follow the line.
  local function let_be_due(ago)
    db:query("update jobq.schedule set next_tick = date_trunc('minute', now()) - $1::interval",
      ago or "0")
  end

  local function tick(ago)
    let_be_due(ago)
    db:query "select jobq.advance()"
    return db:value "select last_job from jobq.schedule_status"
  end

  local function count()
    return db:value "select count(*) from jobq.job"
  end

  it("makes a job at its tick, and knows the next", function()
    schedule { args = '{"n": 1}', options = '{"queue": "q", "tags": ["night"]}' }
    assert.is_true(db:value "select next_tick > now() from jobq.schedule_status")
    assert.is_true(db:value "select jobq.advance() between 0 and 60")
    assert.equal(0, count())
    local id = tick()
    local job = db:job(id)
    assert.same({ "report", "q", '{"n": 1}' }, { job.kind, job.queue, job.args })
    assert.same({ "night" }, job.tags)
    assert.same({ name = "s", is_tick = true, is_late = true }, db:row([[
      select meta ->> 'schedule' as name,
        (meta ->> 'tick')::float8
          = (select extract(epoch from last_tick) from jobq.schedule) as is_tick,
        (meta ->> 'late')::float8 between 0 and 120 as is_late
      from jobq.find($1)]], id))
    assert.is_true(db:value [[
      select next_tick = last_tick + interval '1 minute' from jobq.schedule_status]])
    db:query "select jobq.advance()"
    assert.equal(1, count())
  end)

  it("costs nothing where there is none", function()
    assert.is_nil(db:value "select jobq.advance()")
  end)

  it("is made once a name: again changes it, and only another line starts it anew", function()
    schedule { line = "@yearly" }
    local was = db:row "select next_tick, since from jobq.schedule_status"
    schedule { line = "@yearly", args = '{"n": 2}', overlap = "allow" }
    was.args, was.overlap = '{"n": 2}', "allow"
    assert.same(was, db:row "select next_tick, since, args, overlap from jobq.schedule_status")
    schedule { line = "@monthly" }
    assert.is_true(db:value("select since > $1 from jobq.schedule_status", was.since))
  end)

  it("does not make up what an edited line would have done", function()
    schedule { line = "0 0 1 1 *" }
    let_be_due "1 minute"
    schedule { line = "0 0 2 1 *" }
    db:query "select jobq.advance()"
    assert.equal(0, count())
  end)

  it("has @every count from its definition", function()
    schedule { line = "@every 90s" }
    assert.is_true(db:value "select next_tick = since + interval '90 s' from jobq.schedule_status")
  end)

  describe("whose last job has not ended", function()
    it("skips by default, also while it runs or waits for a retry", function()
      schedule()
      local id = tick()
      tick()
      local job = w:claim_one()
      tick()
      w:finish(job, "retry", { delay_ms = 0 })
      tick()
      assert.equal(1, count())
      assert.equal(3, db:value "select skipped from jobq.schedule_status")
      w:finish(w:claim_one())
      assert.not_equal(id, tick())
    end)

    it("goes on after each way to end", function()
      schedule()
      local id = tick()
      db:query("select jobq.cancel($1)", id)
      id = tick()
      w:finish(w:claim_one(), "failed")
      assert.equal("failed", db:job(id).status)
      id = tick()
      w:claim_one()
      protocol.bury(db, w)
      tick()
      assert.equal(3, count())
      w = protocol.worker(db, { kinds = { "report" } })
      db:query("select jobq.edit($1, run_at => now())", id)
      w:finish(w:claim_one(), "failed")
      tick()
      assert.equal(4, count())
    end)

    it("counts one that was put back by hand", function()
      schedule()
      local id = tick()
      w:finish(w:claim_one(), "failed")
      db:query("select jobq.retry($1)", id)
      tick()
      assert.equal(1, count())
    end)

    it("allow: makes the next at once", function()
      schedule { overlap = "allow" }
      tick()
      tick()
      assert.equal(2, #w:claim())
    end)

    it("queue: lets them wait in turn", function()
      schedule { overlap = "queue" }
      local ids = { tick(), tick "1 minute", tick() }
      local first = w:claim_one()
      assert.equal(ids[1], first.id)
      assert.equal("schedule", db:value("select code from jobq.why($1)", ids[2]))
      assert.equal('it waits until the earlier jobs of schedule "s" have ended',
        db:value("select words from jobq.why($1)", ids[2]))
      w:finish(first, "failed")
      db:query "select jobq.advance()"
      local second = w:claim_one()
      assert.equal(ids[2], second.id)
      w:finish(second)
      db:query "select jobq.advance()"
      assert.equal(ids[3], w:claim_one().id)
    end)

    it("queue: a cancelled one keeps nobody waiting, nor does a schedule that is gone", function()
      schedule { overlap = "queue" }
      local ids = { tick(), tick(), tick() }
      db:query("select jobq.cancel($1)", ids[2])
      w:finish(w:claim_one())
      db:query "select jobq.unschedule('s')"
      db:query "select jobq.advance()"
      assert.equal(ids[3], w:claim_one().id)
    end)

    it("queue_one: has one wait", function()
      schedule { overlap = "queue_one" }
      local ids = { tick(), tick(), tick() }
      assert.equal(ids[2], ids[3])
      assert.equal(2, count())
      w:finish(w:claim_one())
      db:query "select jobq.advance()"
      assert.equal(ids[2], w:claim_one().id)
    end)

    it("cancel: ends it, and starts when it has ended", function()
      schedule { overlap = "cancel" }
      local first = tick()
      local second = tick()
      assert.equal("cancelled", db:job(first).status)
      local job = w:claim_one()
      assert.equal(second, job.id)
      local third = tick()
      assert.same({}, w:claim())
      w:finish(job, "retry", { delay_ms = 0 })
      assert.same({ "cancelled", 'schedule s has its next tick' },
        { db:job(second).status, db:job(second).error })
      db:query "select jobq.advance()"
      assert.equal(third, w:claim_one().id)
    end)

    it("tells the workers when it ends, if one may wait", function()
      local other = protocol.session(db)
      other:sql "listen jobq_control"
      schedule { overlap = "queue" }
      tick()
      local job = w:claim_one()
      other:heard()
      w:finish(job)
      assert.same({ "advance" }, other:heard(5))
    end)
  end)

  describe("that nobody was there for", function()
    it("makes one job, for the last tick", function()
      schedule()
      tick "30 minutes"
      assert.equal(1, count())
      assert.is_true(db:value "select last_tick > now() - interval '2 minutes' from jobq.schedule")
    end)

    it("makes none for a tick older than its window", function()
      schedule { line = "@yearly" }
      tick "61 minutes"
      assert.equal(0, count())
      assert.equal(1, db:value "select skipped from jobq.schedule_status")
      schedule { line = "@yearly", window = "2 hours" }
      tick "61 minutes"
      assert.equal(1, count())
    end)

    it("skip: makes none that is late", function()
      schedule { line = "@yearly", missed = "skip" }
      tick "2 minutes"
      assert.equal(0, count())
      db:query "update jobq.schedule set next_tick = now() - interval '50 s'"
      db:query "select jobq.advance()"
      assert.equal(1, count())
    end)

    it("all: makes each within its window, in order", function()
      schedule { missed = "all", overlap = "allow", window = "10 minutes" }
      tick "2 days"
      local jobs = w:claim()
      assert.is_true(#jobs == 10 or #jobs == 11)
      local ticks = db:query [[select (meta ->> 'tick')::float8 as tick from jobq.job order by id]]
      for i = 2, #ticks do
        assert.equal(60.0, ticks[i].tick - ticks[i - 1].tick)
      end
    end)

    it("all: makes a hundred at a time", function()
      schedule { missed = "all", overlap = "allow", window = "5 hours" }
      let_be_due "2 hours"
      assert.equal(1.0, db:value "select jobq.advance()")
      assert.equal(100, count())
      db:query "select jobq.advance()"
      assert.is_true(count() >= 121)
    end)

    it("looks at few of them", function()
      schedule { line = "* * * * * *", window = "31 days" }
      tick "30 days"
      assert.equal(1, count())
    end)
  end)

  it("spreads its jobs by jitter, each tick its own", function()
    schedule { overlap = "allow", missed = "all", jitter = "1 hour" }
    tick "20 minutes"
    local spread = db:row [[
      select count(distinct run_at) as n, min(run_at) >= now() - interval '1 minute' as after,
        max(run_at) < now() + interval '1 hour' as before from jobq.job]]
    assert.is_true(spread.n > 15)
    assert.is_true(spread.after and spread.before)
  end)

  it("that is paused makes none, and none for the pause", function()
    schedule()
    assert.is_true(db:value "select jobq.pause_schedule('s', 'audit', 'ann')")
    tick()
    assert.equal(0, count())
    assert.same({ paused_by = "ann", paused_reason = "audit" },
      db:row "select paused_by, paused_reason from jobq.schedule_status")
    schedule { line = "@hourly" }
    assert.is_nil(db:value "select next_tick from jobq.schedule_status")
    let_be_due "10 minutes"
    assert.is_true(db:value "select jobq.resume_schedule('s')")
    db:query "select jobq.advance()"
    assert.equal(0, count())
    assert.is_true(db:value [[
      select next_tick > now() and paused_by is null from jobq.schedule_status]])
  end)

  it("can be run now, also while it is paused or its job runs", function()
    schedule { args = '{"n": 1}' }
    tick()
    db:query "select jobq.pause_schedule('s')"
    local id = db:value "select jobq.run_now('s')"
    assert.equal('{"n": 1}', db:job(id).args)
    assert.equal(2, #w:claim())
  end)

  it("that is not there is told", function()
    assert.is_nil(db:value "select jobq.run_now('none')")
    for _, name in ipairs { "unschedule", "pause_schedule", "resume_schedule" } do
      assert.is_false(db:value(("select jobq.%s('none')"):format(name)))
    end
  end)

  it("that cannot make its job keeps no other waiting, and says why", function()
    schedule()
    db:query "select jobq.schedule('good', '* * * * *', 'report')"
    db:query [[update jobq.schedule set options = '{"priority": 77}' where name = 's']]
    tick()
    assert.equal(1, count())
    assert.same({ problem = "priority 77 is out of range, expected 0 (soonest) to 9" },
      db:row "select problem from jobq.schedule_status where name = 's'")
    schedule()
    db:query "select jobq.advance()"
    assert.equal(2, count())
    assert.is_nil(db:row("select problem from jobq.schedule_status where name = 's'").problem)
  end)

  it("that somebody is changing keeps no worker waiting", function()
    schedule()
    let_be_due()
    local other = db:connect()
    assert(other:query "begin")
    assert(other:query "select jobq.pause_schedule('s')")
    assert.equal(1.0, db:value "select jobq.advance()")
    assert.equal(0, count())
    assert(other:query "rollback")
    db:query "select jobq.advance()"
    assert.equal(1, count())
  end)

  it("gives up where somebody holds what its job needs", function()
    db:query "select jobq.schedule('s', '* * * * *', 'new.kind')"
    let_be_due()
    local other = db:connect()
    assert(other:query "begin")
    assert(other:query "select jobq.enqueue('new.kind')")
    db:query "select jobq.advance()"
    assert.is_true(db:value "select problem like '%lock timeout%' from jobq.schedule_status")
    assert.equal("0", db:value "select current_setting('lock_timeout')")
    assert(other:query "rollback")
  end)

  describe("with 20 connections that tick at once", function()
    local function connect()
      local all = {}
      for i = 1, 20 do
        all[i] = db:connect()
      end
      return all
    end

    local function together(all, sql)
      for _, conn in ipairs(all) do
        assert(conn:send(sql))
      end
      for _, conn in ipairs(all) do
        assert(conn:result())
      end
    end

    it("makes exactly one job a tick", function()
      schedule { overlap = "allow", missed = "all" }
      local all = connect()
      for _ = 1, 20 do
        db:query "delete from jobq.ready"
        let_be_due()
        together(all, "select jobq.schedule_due()")
        assert.equal(1, count())
      end
    end)

    it("and some of them killed", function()
      schedule { overlap = "allow" }
      let_be_due()
      local victim = db:connect()
      assert(victim:query "begin")
      assert(victim:query "select jobq.advance()")
      assert(victim:query "select jobq.schedule_due()") -- nothing left, and no harm
      assert.equal(0, count())
      together(connect(), "select jobq.schedule_due()")
      assert.equal(0, count())
      postgres.crash(victim:backend_pid())
      db:close()
      db:wait_until("the server is back", "select true")
      together(connect(), "select jobq.schedule_due()")
      assert.equal(1, count())
    end)
  end)

  describe("of a handler file", function()
    local YEARLY = '{"expression": "@yearly", "args": {"n": 1}}'

    local function declare(worker, given, source)
      local problems = {}
      for i, row in ipairs(worker:ask("declare_schedules", worker.id, { "report" },
        { given or "" }, { source or "handlers/report.lua:2" })) do
        problems[i] = row.problem
      end
      return problems
    end

    local function load_error()
      return db:row("select load_error from jobq.worker where id = $1", w.id).load_error
    end

    it("is there when the worker has declared it, and changes with the file", function()
      assert.same({}, declare(w, YEARLY))
      local first = db:row "select * from jobq.schedule_status"
      assert.same({ "report", "report", "@yearly", "UTC", '{"n": 1}', "handlers/report.lua:2" },
        { first.name, first.kind, first.expression, first.zone, first.args, first.source })
      db:query "select jobq.pause_schedule('report')"
      declare(w, '{"expression": "@daily", "zone": "Europe/Berlin", "overlap": "queue",'
        .. '"missed": "all", "window": 7200, "jitter": 1.5}')
      assert.same({
        expression = "@daily", zone = "Europe/Berlin", overlap = "queue", missed = "all",
        missed_window = "02:00:00", jitter = "00:00:01.5", paused = true,
      }, db:row [[select expression, zone, overlap, missed, missed_window, jitter,
        paused_at is not null as paused from jobq.schedule_status]])
    end)

    it("is written once, however many declare it, and never moved by that", function()
      declare(w, YEARLY)
      local row = db:row "select xmin::text, ctid::text, next_tick from jobq.schedule"
      declare(w, YEARLY)
      declare(protocol.worker(db, { kinds = { "report" } }), YEARLY)
      assert.same(row, db:row "select xmin::text, ctid::text, next_tick from jobq.schedule")
      protocol.bury(db, w)
      declare(protocol.worker(db, { kinds = { "report" } }), YEARLY)
      assert.equal(row.next_tick, db:value "select next_tick from jobq.schedule")
    end)

    it("goes when its file has it no more", function()
      declare(w, YEARLY)
      declare(w)
      assert.equal(0, db:value "select count(*) from jobq.schedule")
    end)

    it("goes with its kind when nobody runs that any more", function()
      declare(w, YEARLY)
      local other = protocol.worker(db, { kinds = { "report" } })
      w:declare { "else" }
      w:ask("declare_schedules", w.id, { "else" }, { "" }, { "x.lua:1" })
      assert.equal(1, db:value "select count(*) from jobq.schedule")
      other:declare { "else" }
      other:ask("declare_schedules", other.id, { "else" }, { "" }, { "x.lua:1" })
      assert.equal(0, db:value "select count(*) from jobq.schedule")
    end)

    it("stays while its worker is away, a day at most", function()
      declare(w, YEARLY)
      w:ask("stop", w.id)
      local other = protocol.worker(db, { kinds = { "else" } })
      other:ask("declare_schedules", other.id, { "else" }, { "" }, { "x.lua:1" })
      tick()
      assert.equal(1, count())
      db:query("update jobq.worker set seen_at = now() - interval '25 hours' where id = $1", w.id)
      tick()
      assert.equal(0, db:value "select count(*) from jobq.schedule")
    end)

    it("and one by hand do not take each other's name", function()
      db:query "select jobq.schedule('report', '@daily', 'report')"
      local told = "schedule of report (handlers/report.lua:2): "
        .. 'schedule "report" is already defined by jobq.schedule()\n'
        .. "hint: jobq schedules remove report"
      assert.same({ told }, declare(w, YEARLY))
      assert.equal(told, load_error())
      declare(w)
      assert.is_nil(load_error())
      assert.equal("@daily", db:value "select expression from jobq.schedule")
      db:query "select jobq.unschedule('report')"
      assert.same({}, declare(w, YEARLY))
      local _, message = db:try "select jobq.schedule('report', '@daily', 'report')"
      assert.equal('schedule "report" is already defined in handlers/report.lua:2', message)
      _, message = db:try "select jobq.unschedule('report')"
      assert.equal('schedule "report" is defined in handlers/report.lua:2', message)
      w:ask("stop", w.id)
      assert.is_true(db:value "select jobq.unschedule('report')")
    end)

    it("is refused when another living worker has it from another file", function()
      declare(w, YEARLY)
      local other = protocol.worker(db, { kinds = { "report" } })
      local told = declare(other, '{"expression": "@daily"}', "more/report.lua:9")
      assert.equal("schedule of report (more/report.lua:9): "
        .. 'schedule "report" is already defined in handlers/report.lua:2', told[1])
      declare(other, nil, "more/report.lua:9")
      assert.equal("@yearly", db:value "select expression from jobq.schedule")
      w:ask("stop", w.id)
      assert.same({}, declare(other, '{"expression": "@daily"}', "more/report.lua:9"))
      assert.equal("@daily", db:value "select expression from jobq.schedule")
    end)

    it("with a wrong zone is told, and leaves what was there", function()
      declare(w, YEARLY)
      assert.same({
        'schedule of report (handlers/report.lua:2): zone "berlin" is not known\n'
          .. 'hint: did you mean "Europe/Berlin"?',
      }, declare(w, '{"expression": "@daily", "zone": "berlin"}'))
      assert.equal("@yearly", db:value "select expression from jobq.schedule")
      db:query("update jobq.worker set load_error = 'x.lua:1: no' where id = $1", w.id)
      declare(w, YEARLY)
      assert.equal("x.lua:1: no", load_error())
    end)

    it("waits for nobody who is changing it", function()
      declare(w, YEARLY)
      local other = db:connect()
      assert(other:query "begin")
      assert(other:query "select jobq.pause_schedule('report')")
      assert.matches("lock timeout", declare(w, '{"expression": "@daily"}')[1])
      assert.matches("lock timeout", declare(w)[1])
      assert(other:query "rollback")
      assert.same({}, declare(w, '{"expression": "@daily"}'))
    end)
  end)

  describe("that cannot be is refused:", function()
    local CASES = {
      {
        "'s', '0 25 * * *', 'k'",
        'schedule "0 25 * * *": hour (field 2): "25" is out of range, expected 0 to 23',
      },
      {
        "'s', '0 3 31 2 *', 'k'",
        'schedule "0 3 31 2 *": it never fires',
        "february has no day 31",
      },
      {
        "'s', '0 3 31 apr,jun *', 'k'",
        'schedule "0 3 31 apr,jun *": it never fires',
        "april has no day 31",
      },
      { "'s', '0 3 31 2', 'k'",
        'schedule "0 3 31 2": it has 4 fields, expected 5 (minute hour day month '
          .. 'weekday) or 6 (second first)' },
      { "'s', '', 'k'",
        'schedule "": it has 0 fields, expected 5 (minute hour day month weekday) or 6 '
          .. '(second first)' },
      { "'s', null, 'k'", "schedule null: it is null, expected a cron line" },
      {
        "'s', '60 0 3 1 2 *', 'k'",
        'schedule "60 0 3 1 2 *": second (field 1): "60" is out of range, expected 0 to 59',
      },
      { "'s', '0 0 3 1 foo *', 'k'", 'schedule "0 0 3 1 foo *": month (field 5): "foo" is no name',
        "known are jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec" },
      {
        "'s', '0 0 * * 8', 'k'",
        'schedule "0 0 * * 8": weekday (field 5): "8" is out of range, expected 0 to 7',
      },
      { "'s', '0 0 * 10-5 *', 'k'",
        'schedule "0 0 * 10-5 *": month (field 4): range 10-5 goes backwards',
        "write 10-12,1-5" },
      {
        "'s', '*/0 * * * *', 'k'",
        'schedule "*/0 * * * *": minute (field 1): step 0 is out of range, expected 1 to 60',
      },
      {
        "'s', '1,,2 * * * *', 'k'",
        'schedule "1,,2 * * * *": minute (field 1): "" is not understood',
      },
      { "'s', '@evry 5m', 'k'", 'schedule "@evry 5m": "@evry 5m" is not known' },
      {
        "'s', '@every 5x', 'k'",
        'schedule "@every 5x": @every "5x" is not understood, expected 1s to 366d',
      },
      {
        "'s', '@every 0s', 'k'",
        'schedule "@every 0s": @every "0s" is not understood, expected 1s to 366d',
      },
      {
        "'s', '@daily', 'k', zone => 'Berlin'",
        'zone "Berlin" is not known', 'did you mean "Europe/Berlin"?',
      },
      { "'s', '@daily', 'k', zone => 'CEST'", 'zone "CEST" is not known' },
      { "'', '@daily', 'k'", 'schedule "" has 0 characters in its name, expected 1 to 100' },
      { "null, '@daily', 'k'", "schedule null has 0 characters in its name, expected 1 to 100" },
      { "'s', '@daily', null", "kind null has 0 characters, expected 1 to 100" },
      { "'s', '@daily', 'k', '[1]'", 'arguments of "k" are [1], expected a JSON object' },
      { "'s', '@daily', 'k', overlap => 'drop'",
        'overlap "drop" is not known, expected skip, queue_one, queue, allow or cancel' },
      {
        "'s', '@daily', 'k', missed => 'none'",
        'missed "none" is not known, expected one, skip or all',
      },
      {
        "'s', '@daily', 'k', missed_window => '40 days'",
        "missed_window 40 days is out of range, expected 0 to 31 days",
      },
      {
        "'s', '@daily', 'k', jitter => '-1 s'",
        "jitter -00:00:01 is out of range, expected 0 to 1 day",
      },
      { [['s', '@daily', 'k', options => '{"priority": 10}']],
        "priority 10 is out of range, expected 0 (soonest) to 9" },
      { [['s', '@daily', 'k', options => '{"pritority": 1}']], 'unknown option "pritority"' },
      { [['s', '@daily', 'k', options => '{"run_at": 1}']],
        "run_at 1970-01-01 00:00:01+00 makes no sense: the tick is when it runs" },
    }

    for _, case in ipairs(CASES) do
      it(case[1], function()
        db:query "set timezone = 'UTC'"
        local sql = ("select jobq.schedule(%s)"):format(case[1])
        local rows, message, sqlstate, _, hint = db:try(sql)
        assert.is_nil(rows)
        assert.same({ case[2], "22023" }, { message, sqlstate })
        if case[3] then
          assert.equal(case[3], hint)
        end
      end)
    end
  end)
end)
