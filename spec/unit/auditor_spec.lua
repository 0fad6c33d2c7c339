local auditor = require "faults.auditor"

-- A history by hand: one job that was requested, acknowledged, run and completed as it should.
local function history()
  return {
    acks = {}, runs = {}, requests = {}, jobs = {}, trail = {}, left = {}, deaths = {}, life = {},
    diary = {}, exits = {}, steps = {}, batches = {}, watched = {},
    config = { dead_after = 4, workers = 1, concurrency = 4 },
  }
end

local function add(list, item)
  table.insert(list, item)
  return item
end

-- A job of the given kind, asked for at `at`; more: fields of its row.
local function request(all, id, kind, at, more)
  local name = "p1." .. id
  add(all.requests, { id = name, job = id, kind = kind, at = at })
  add(all.acks, { request = name, job = id, kind = kind, at = at })
  local job = add(all.jobs, {
    id = id, kind = kind, status = "completed", attempt = 1, max_attempts = 6, priority = 5,
    args = { request = name }, meta = {}, worker = "w1.1",
  })
  for field, value in pairs(more or {}) do
    job[field] = value
  end
  return job
end

local function ran(all, id, attempt, at, ended, word)
  return add(all.runs, {
    job = id, attempt = attempt, worker = "w1.1", at = at, pid = 10, kind = "",
    word = word or "done", ended = ended,
  })
end

local function completed(all, id, at)
  local job = request(all, id, "chaos.quick", at)
  ran(all, id, 1, at + 0.1, at + 0.2)
  job.finished_at = at + 0.25
  job.result = { job = id, attempt = 1, worker = "w1.1" }
  return job
end

local function checks_of(all)
  local names, seen = {}, {}
  for _, violation in ipairs(auditor.audit(all)) do
    if not seen[violation.check] then
      table.insert(names, violation.check)
    end
    seen[violation.check] = true
  end
  table.sort(names)
  return names
end

describe("the auditor", function()
  local all

  before_each(function()
    all = history()
  end)

  it("has nothing to say of a plain life", function()
    completed(all, 1, 100)
    assert.same({}, checks_of(all))
  end)

  it("misses an acknowledged job that is nowhere", function()
    completed(all, 1, 100)
    all.jobs = {}
    assert.same({ "lost" }, checks_of(all))
  end)

  it("sees a job that ended twice", function()
    local job = completed(all, 1, 100)
    add(all.jobs, job)
    assert.same({ "twice" }, checks_of(all))
  end)

  it("sees one request that made two jobs", function()
    completed(all, 1, 100)
    completed(all, 2, 100).args.request = "p1.1"
    assert.same({ "doubled" }, checks_of(all))
  end)

  it("sees a job that never ended", function()
    request(all, 1, "chaos.quick", 100, { status = "pending", attempt = 0, worker = nil })
    assert.same({ "stuck" }, checks_of(all))
  end)

  it("sees a completion that no run has earned", function()
    completed(all, 1, 100)
    all.runs[1].word, all.runs[1].ended = nil, nil
    assert.same({ "unearned" }, checks_of(all))
  end)

  it("sees the result of another job", function()
    completed(all, 1, 100).result.job = 2
    assert.same({ "unearned" }, checks_of(all))
  end)

  it("sees an ending that the kind does not have", function()
    local job = completed(all, 1, 100)
    job.status, job.error = "failed", "job 1, attempt 1"
    assert.same({ "status" }, checks_of(all))
  end)

  it("lets a job fail whose workers died under it", function()
    local job = completed(all, 1, 100)
    job.status, job.attempt, job.finished_at = "failed", 3, 120
    job.error = "its worker died while it ran"
    for attempt = 1, 2 do
      add(all.trail, { job = 1, attempt = attempt, outcome = "crash", at = 100.2 + attempt })
    end
    assert.same({}, checks_of(all))
  end)

  describe("on attempts", function()
    local function flaky()
      local job = request(all, 1, "chaos.flaky", 100, { attempt = 3, finished_at = 102.3 })
      job.result = { job = 1, attempt = 3, worker = "w1.1" }
      for attempt = 1, 2 do
        ran(all, 1, attempt, 99.7 + attempt * 0.4, 99.8 + attempt * 0.4, "fail")
        add(all.trail, { job = 1, attempt = attempt, outcome = "retry", at = 99.8 + attempt * 0.4 })
      end
      ran(all, 1, 3, 102, 102.2)
      return job
    end

    it("takes two failures and a success for what they are", function()
      flaky()
      assert.same({ "delays" }, checks_of(all)) -- 0.5 s are asked for
      all.runs[2].at, all.runs[2].ended, all.trail[2].at = 100.75, 100.85, 100.9
      assert.same({}, checks_of(all))
    end)

    it("sees one that was settled twice", function()
      flaky()
      add(all.trail, { job = 1, attempt = 3, outcome = "retry", at = 102.2 })
      assert.is_truthy(table.concat(checks_of(all), " "):find "settled")
    end)

    it("sees one that was burnt", function()
      completed(all, 1, 100).attempt = 2
      all.runs[1].attempt, all.jobs[1].result.attempt = 2, 2
      assert.same({ "settled" }, checks_of(all))
    end)

    it("sees one too many", function()
      local job = request(all, 1, "chaos.broken", 100, {
        status = "failed", attempt = 3, finished_at = 104, error = "job 1, attempt 3",
      })
      for attempt = 1, 2 do
        ran(all, 1, attempt, 99 + attempt, 99.1 + attempt, "fail")
        add(all.trail, { job = 1, attempt = attempt, outcome = "retry", at = 99.2 + attempt })
      end
      ran(all, 1, 3, 103, 103.5, "fail")
      assert.equal(3, job.attempt)
      assert.same({ "limit" }, checks_of(all))
    end)

    it("sees one that runs again for no reason", function()
      completed(all, 1, 100)
      table.insert(all.runs, 1, {
        job = 1, attempt = 1, worker = "w2.1", at = 100.05, pid = 20, kind = "",
      })
      assert.same({ "repeated" }, checks_of(all))
      add(all.diary, { fault = "kill_worker", who = "w2.1", at = 100.06, until_at = 100.06 })
      assert.same({}, checks_of(all))
    end)

    it("sees a run that starts after the end", function()
      completed(all, 1, 100)
      ran(all, 1, 1, 130, 130.1)
      add(all.diary, { fault = "executor died", who = "w1.1", pid = 10, at = 100.2 })
      assert.same({ "late_starts" }, checks_of(all))
      add(all.diary, { fault = "stop_worker", who = "w1.1", at = 101, until_at = 131 })
      assert.same({}, checks_of(all))
    end)

    it("sees a job that expired too soon, or had begun, or began too late", function()
      local job = request(all, 1, "chaos.expires", 100, {
        status = "cancelled", error = "expired", finished_at = 105.1,
      })
      all.requests[1].delay, all.requests[1].expires_in = 2, 3
      assert.same({}, checks_of(all))
      job.finished_at = 104.9
      assert.same({ "expired" }, checks_of(all))
      job.finished_at = 105.1
      ran(all, 1, 1, 104, 104.5)
      assert.same({ "expired" }, checks_of(all))
      job.status, job.error = "completed", nil
      job.result = { job = 1, attempt = 1, worker = "w1.1" }
      assert.same({}, checks_of(all))
      all.runs[1].at, all.runs[1].ended, job.finished_at = 105.8, 105.9, 106
      assert.same({ "expired" }, checks_of(all))
    end)

    it("sees a job that runs before its time", function()
      completed(all, 1, 100)
      all.requests[1].delay = 5
      assert.same({ "scheduled" }, checks_of(all))
    end)
  end)

  describe("on wishes", function()
    it("wants a cancelled job to have been cancelled by somebody", function()
      local job = completed(all, 1, 100)
      job.status, all.runs = "cancelled", {}
      assert.same({ "status" }, checks_of(all))
      add(all.diary, { fault = "cancel", who = "*", job = 1, at = 100, answer = "cancelled" })
      assert.same({}, checks_of(all))
    end)

    it("wants what was answered as cancelled to be so", function()
      completed(all, 1, 100)
      add(all.diary, { fault = "cancel", who = "*", job = 1, at = 100, answer = "cancelled" })
      assert.same({ "cancels" }, checks_of(all))
    end)

    it("sees a job that began before it was put off to", function()
      completed(all, 1, 100)
      local wish = add(all.diary, {
        fault = "snooze", who = "*", job = 1, at = 99.8, until_at = 99.9, answer = "true",
      })
      assert.same({ "snoozed" }, checks_of(all))
      wish.answer = "false"
      assert.same({}, checks_of(all))
      wish.answer, wish.at, wish.until_at = "true", 97, 97.1
      assert.same({}, checks_of(all))
    end)

    it("finds each retry by hand in the trail", function()
      completed(all, 1, 100)
      add(all.diary, { fault = "retry", who = "*", job = 1, at = 100, answer = "true" })
      assert.same({ "retries" }, checks_of(all))
      all.diary[1].answer = "lost"
      assert.same({}, checks_of(all))
    end)
  end)

  describe("on order", function()
    it("sees a job that waited while workers were idle", function()
      completed(all, 1, 100)
      local job = completed(all, 2, 110)
      all.acks[2].at, all.requests[2].at = 101, 101
      assert.equal(110.25, job.finished_at)
      assert.same({ "waited" }, checks_of(all))
      add(all.diary, { fault = "crash_server", who = "*", at = 103, until_at = 111 })
      assert.same({}, checks_of(all))
    end)

    it("sees an urgent job that many others overtook", function()
      completed(all, 1, 110).priority = 0
      all.acks[1].at, all.requests[1].at = 101, 101
      for id = 2, 60 do
        completed(all, id, id < 6 and 101 or 105 + id / 100)
        all.runs[#all.runs].ended = 110 -- all slots are busy
        all.jobs[#all.jobs].finished_at = 111
      end
      assert.same({ "overtaken" }, checks_of(all))
    end)
  end)

  describe("on what is left", function()
    it("tells it", function()
      all.left = { "unique key a, held by job 3" }
      all.exits = { ["w1.1"] = 75 }
      assert.same({ "exits", "left" }, checks_of(all))
    end)

    it("sees who was declared dead too soon", function()
      add(all.deaths, { worker = "w1.1", at = 110, seen_at = 109 })
      assert.same({ "deaths" }, checks_of(all))
      all.deaths[1].seen_at = 105
      assert.same({}, checks_of(all))
      assert.same(1, #auditor.notes(all))
    end)

    it("lets the lock of a killed worker speak", function()
      all.config.dead_after = 300
      add(all.deaths, { worker = "w1.1", at = 120, seen_at = 100 })
      add(all.diary, { fault = "kill_worker", who = "w1.1", at = 100, until_at = 100 })
      assert.same({}, checks_of(all))
    end)

    it("sees two jobs with one unique key", function()
      for id = 1, 2 do
        completed(all, id, 100).meta = { unique = "a" }
        all.life[id] = {
          { at = 100 + id, what = "waits: attempts used 0" },
          { at = 100.1 + id, what = "completed with attempt 1" },
        }
      end
      assert.same({}, checks_of(all))
      all.life[1][2].at = 102.05
      assert.same({ "keys" }, checks_of(all))
    end)

    it("lets a follower have its key from the end of the holder", function()
      for id = 1, 2 do
        completed(all, id, 100).meta = { unique = "a" }
      end
      all.life[1] = {
        { at = 101, what = "waits: attempts used 0", xid = 1 },
        { at = 103, what = "completed with attempt 1", xid = 3 },
      }
      all.life[2] = {
        { at = 102, what = "is parked: attempts used 0", xid = 2 },
        { at = 102.9, what = "waits: not parked any more", xid = 3 },
        { at = 104, what = "completed with attempt 1", xid = 4 },
      }
      assert.same({}, checks_of(all))
      all.life[2][2].xid = 2
      assert.same({ "keys" }, checks_of(all))
    end)
  end)

  describe("of what belongs to something larger", function()
    it("sees a step that ran twice", function()
      all.steps = {
        { job = 1, number = 1, token = "a" }, { job = 1, number = 2, token = "b" },
        { job = 1, number = 1, token = "a" }, { job = 2, number = 1, token = "c" },
      }
      assert.same({}, checks_of(all))
      add(all.steps, { job = 1, number = 2, token = "d" })
      assert.same({ "steps" }, checks_of(all))
    end)

    it("sees a batch that did not end, or told of it twice or of a failure never", function()
      local batch = add(all.batches, {
        id = 1, total = 4, done = 4, failed = 1, has_failed = true, completions = 1, failures = 1,
      })
      assert.same({}, checks_of(all))
      for field, wrong in pairs { done = 3, completions = 2, failures = 0 } do
        local right = batch[field]
        batch[field] = wrong
        assert.same({ "batches" }, checks_of(all))
        batch[field] = right
      end
    end)

    it("sees who was told of an end twice, never, or without it", function()
      completed(all, 1, 100)
      local watched = add(all.watched, { job = 1, told = 1, at_end = 1 })
      assert.same({}, checks_of(all))
      for _, wrong in ipairs { { 0, 0 }, { 2, 1 }, { 1, 0 } } do
        watched.told, watched.at_end = wrong[1], wrong[2]
        assert.same({ "told" }, checks_of(all))
      end
    end)

    it("sees more runs at a time than the limit says", function()
      for id = 1, 4 do
        completed(all, id, 100).kind = "chaos.limited"
      end
      all.runs[4].at, all.runs[4].ended = 100.21, 100.24
      assert.same({}, checks_of(all))
      all.runs[4].at = 100.12
      assert.same({ "limits" }, checks_of(all))
    end)

    it("sees a tick with two jobs, and one with none", function()
      for id = 1, 3 do
        local job = completed(all, id, 100)
        job.kind, job.meta = "chaos.tick", { tick = 1000 + id }
      end
      assert.same({}, checks_of(all))
      all.jobs[2].meta.tick = 1003
      assert.same({ "ticks" }, checks_of(all))
      all.jobs[2].meta.tick = 1000
      assert.same({ "ticks" }, checks_of(all))
    end)
  end)

  it("tells the whole life of a job", function()
    completed(all, 1, 100).status = "failed"
    add(all.diary, { fault = "crash_server", who = "*", at = 100.15, until_at = 101 })
    local report = auditor.show(auditor.audit(all))
    assert.match("request p1.1 is acknowledged", report)
    assert.match("w1.1 runs attempt 1", report)
    assert.match("!! crash_server", report)
    assert.match("w1.1 says done of attempt 1", report)
  end)
end)
