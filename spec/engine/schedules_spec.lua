local build = require "support.build"
local engine = require "support.engine"

describe("jobq schedules", function()
  local db

  before_each(function()
    db = engine.database()
  end)

  local function jobq(words)
    return engine.jobq(db, words)
  end

  local function ok(...)
    local answer = jobq { "schedules", ... }
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  it("adds one and shows when it comes, in words", function()
    local said = ok("add", "nightly", "30 3 * * *", "report", '{"n": 1}', "--zone", "Europe/Berlin",
      "--overlap", "queue_one", "--missed", "all", "--window", "4h", "--jitter", "30s", "--queue",
      "low", "--tag", "night")
    assert.match("^schedule nightly: next in %d+[hm], %a+ 03:30 %+0[12]:00 Europe/Berlin$",
      said.out)
    assert.match("nightly +30 3 %* %* %* +Europe/Berlin +report +in %d+[hms] +0 +0$",
      ok().out)
    local s = ok("nightly", "--next", "3", "--json").json.items[1]
    assert.same({ "nightly", "30 3 * * *", "Europe/Berlin", "queue_one", "all", 14400, 30 },
      { s.name, s.expression, s.zone, s.overlap, s.missed, s.missed_window_s, s.jitter_s })
    assert.same({ n = 1 }, s.args)
    assert.same({ queue = "low", tags = { "night" } }, s.options)
    assert.equal(3, #s.next)
    assert.equal(s.next_tick, s.next[1])
  end)

  it("shows the next times of each", function()
    ok("add", "a", "@every 90s", "k")
    ok("add", "b", "0 12 29 2 *", "k", "--zone", "Asia/Kathmandu")
    ok("add", "c", "* * * * *", "k")
    ok("pause", "c")
    local lines = {}
    for line in ok("--next", "2").out:gmatch "[^\n]+" do
      table.insert(lines, line)
    end
    assert.equal(5, #lines)
    assert.match("^a +in 1m +%a+ %d%d:%d%d:?%d?%d? +UTC$", lines[2])
    assert.match("^b +in %d+d +%a+ 29 February 20%d%d 12:00 %+05:45 +Asia/Kathmandu$", lines[5])
    assert.match("c is paused", jobq { "schedules", "c", "--next", "2" }.err)
  end)

  it("pauses with a reason, resumes, runs and removes", function()
    ok("add", "s", "@daily", "report")
    assert.equal("schedule s is paused; jobq schedules resume s undoes it",
      ok("pause", "s", "--reason", "audit").out)
    assert.match("paused +0 +0 +for .* by .*: audit$", ok().out)
    assert.equal("1", ok("run", "s").out)
    assert.equal("report", db:job(1).kind)
    assert.match("^schedule s goes on: next in ", ok("resume", "s").out)
    assert.equal("schedule s is gone", ok("remove", "s").out)
    assert.match("no schedules", jobq { "schedules" }.err)
  end)

  it("refuses what cannot be", function()
    local function refused(status, message, ...)
      local answer = jobq { "schedules", ... }
      assert.equal(status, answer.status)
      assert.equal(message, answer.err)
    end
    ok("add", "nightly", "@daily", "report")
    refused(2, 'jobq: schedule "0 3 31 2 *": it never fires (22023)\n'
      .. "hint: february has no day 31", "add", "s", "0 3 31 2 *", "k")
    refused(2, 'jobq: schedule "0 24 * * *": hour (field 2): "24" is out of range, expected 0 to '
      .. "23 (22023)\nhint: e.g. 30 3 * * mon-fri: half past three, monday to friday",
      "add", "s", "0 24 * * *", "k")
    refused(2, 'jobq: zone "berlin" is not known (22023)\nhint: did you mean "Europe/Berlin"?',
      "add", "s", "@daily", "k", "--zone", "berlin")
    for _, verb in ipairs { "remove", "pause", "resume", "run" } do
      refused(3, "jobq: schedule 'nightyl' does not exist\nhint: did you mean 'nightly'?",
        verb, "nightyl")
    end
    refused(3, "jobq: schedule 'other' does not exist\nhint: jobq schedules lists them", "other")
  end)
end)

describe("a schedule in a handler file", function()
  local HANDLER = [[return {
  daily = {
    schedule = { "30 3 * * *", zone = %q, args = { n = 1 } },
    run = function() end,
  },
} ]]

  it("is there when its worker is, changes with a reload and goes with it", function()
    local db = engine.database()
    local dir = engine.handlers { ["report.lua"] = HANDLER:format "Europe/Berlin" }
    local w = engine.worker(db, dir, { executors = 1 })
    local function shown()
      return db:row "select name, zone, source from jobq.schedule_status"
    end
    local function reload(text)
      dir:write("report.lua", text)
      w:signal "sighup"
      w:expect "reloaded"
    end
    local function wait_for_zone(zone)
      db:wait_until("the schedule has changed",
        "select coalesce((select zone from jobq.schedule), '') = $1", zone)
    end
    wait_for_zone "Europe/Berlin"
    assert.equal("report.daily", shown().name)
    assert.matches("/report.lua:2$", shown().source)

    reload(HANDLER:format "Asia/Tokyo")
    wait_for_zone "Asia/Tokyo"
    local refused = engine.jobq(db, "schedules remove report.daily")
    assert.same({ 5, true }, { refused.status, refused.err:find("is defined in", 1, true) ~= nil })

    reload(HANDLER:format "Asia/Tokio")
    assert.matches('zone "Asia/Tokio" is not known', w:expect("schedule refused").error)
    db:wait_until("the worker shows it",
      "select load_error like '%zone \"Asia/Tokio\" is not known' || '%' from jobq.worker_status")
    assert.equal("Asia/Tokyo", shown().zone)

    reload "return { daily = { run = function() end } }"
    wait_for_zone ""
    assert.equal(0, w:stop())
  end)
end)

describe("a schedule with workers", function()
  it("makes its jobs by itself, each once, and tells them their tick", function()
    local db = engine.database()
    local handler = [[return { run = function(job)
      job.log:info("ran", { tick = job.tick, late = job.late })
    end }]]
    for _ = 1, 2 do
      engine.worker(db, { ["report.lua"] = handler }, { executors = 1 })
    end
    db:query "select jobq.schedule('s', '@every 1s', 'report', overlap => 'allow')"
    db:wait_until("three jobs have run",
      "select count(*) >= 3 from jobq.log where message = 'ran'")
    assert.same({ most = 1, told = true }, db:row [[
      select max(n) as most, bool_and(told) as told from (
        select count(*) as n, bool_and((l.fields ->> 'tick')::float8 = (j.meta ->> 'tick')::float8
          and (l.fields ->> 'late')::float8 between 0 and 60) as told
        from jobq.job j join jobq.log l on l.job_id = j.id
        group by j.meta ->> 'tick') t]])
  end)

  -- Those that are alive have made the last ticks; they were the ones that the killed could have
  -- made, too. All ticks of the span are there, each with one job.
  it("makes exactly one job a tick with 20 workers, half of which are killed", function()
    local many = build.is_sanitized() and 6 or 20
    local db = engine.database()
    local dir = engine.handlers { ["report.lua"] = "return { run = function() end }" }
    local workers = {}
    for i = 1, many do
      workers[i] = engine.start(db, dir, { executors = 1, name = "w" .. i })
    end
    for _, w in ipairs(workers) do
      w:expect "worker ready"
    end
    db:query [[
      select jobq.schedule('s', '* * * * * *', 'report', overlap => 'allow', missed => 'all')]]
    local function wait_for(ticks)
      db:wait_until("the schedule has ticked on",
        "select count(distinct meta -> 'tick') >= $1 from jobq.job", ticks)
    end
    wait_for(1)
    for i = 1, many // 2 do
      workers[i]:kill()
      wait_for(1 + i // 3)
    end
    wait_for(5)
    assert.same({ most = 1, complete = true }, db:row [[
      select max(n) as most, count(*) = max(tick) - min(tick) + 1 as complete from (
        select (j.meta ->> 'tick')::float8 as tick, count(*) as n from jobq.job j group by 1) t]])
  end)
end)
