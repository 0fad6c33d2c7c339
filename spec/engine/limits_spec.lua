local engine = require "support.engine"
local files = require "support.files"
local handlers = require "support.handlers"

-- Notes how many run at a time, all workers together: a line each when it begins and ends.
local WORK = [[
local jobq = require "jobq"
local function note(job, word)
  local file <close> = assert(io.open(job.args.file, "a"))
  file:write(word, " ", job.id, "\n")
end
return {
  count = { retry_delay = 0.05, run = function(job)
    note(job, "begin")
    jobq.sleep(job.args.seconds or 0.02)
    note(job, "end")
  end },
  free = { run = function() end },
  polite = { run = function(job)
    local limit = jobq.limit("api", job.args.host)
    assert(limit:hold(3600))
    assert(limit:used(2))
    return jobq.retry("429", 0)
  end },
  mistaken = { max_attempts = 1, run = function() return jobq.limit("apu"):hold(1) end },
}
]]

describe("limits", function()
  local db, path

  before_each(function()
    db = engine.database()
    path = handlers({}).path .. "notes"
  end)

  local function jobq(line)
    local words = {}
    for word in line:gmatch "%S+" do
      table.insert(words, word)
    end
    return engine.jobq(db, words)
  end

  local function ok(line)
    local answer = jobq(line)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  local function worker(name)
    return engine.worker(db, { ["work.lua"] = WORK },
      { executors = 1, name = name, concurrency = 20 })
  end

  local function enqueue(many, more)
    db:query(([[select jobq.enqueue_many('work.count', array_fill(
      jsonb_build_object('file', $1::text)%s, array[%d]))]]):format(more or "", many), path)
  end

  -- The most that ran at a time, and how many ended. Nobody died.
  local function count()
    local now, most, ended = 0, 0, 0
    for word in (files.read(path) or ""):gmatch "(%a+) %d+" do
      now = now + (word == "begin" and 1 or -1)
      most = math.max(most, now)
      ended = ended + (word == "end" and 1 or 0)
    end
    return most, ended
  end

  local function wait_for_all()
    db:wait_until("all is done",
      "select count(*) = 0 from jobq.job where status in ('pending', 'processing')")
  end

  it("hold over all workers, and let others run", function()
    ok "limits set three --kind work.count --running 3 --quiet"
    local one, two = worker "one", worker "two"
    enqueue(40)
    db:wait_for(db:enqueue { "work.free" }, "completed")
    wait_for_all()
    assert.same({ 3, 40 }, { count() })
    assert.equal(0, db:value "select count(*) from jobq.limit_slot")
    assert.same({ 0, 0 }, { one:stop(), two:stop() })
  end)

  it("hold for jobs that were there before worker and limit", function()
    enqueue(30)
    ok "limits set three --kind work.count --running 3 --quiet"
    local one, two = worker "one", worker "two"
    wait_for_all()
    assert.same({ 3, 30 }, { count() })
    assert.same({ 0, 0 }, { one:stop(), two:stop() })
  end)

  it("are not exceeded when workers are killed, and their slots come back", function()
    ok "limits set two --kind work.count --running 2 --quiet"
    enqueue(6, [[ || '{"seconds": 60}']])
    local one, two = worker "one", worker "two"
    db:wait_until("two run", "select count(*) = 2 from jobq.job where status = 'processing'")
    one:kill()
    two:kill()
    assert.equal(2, db:value "select count(*) from jobq.limit_slot")
    db:query "update jobq.worker set seen_at = now() - interval '1 hour'"
    db:query "select jobq.recover()"
    local three = worker "three"
    db:wait_until("two run again", [[select count(*) = 2 from jobq.job j
      join jobq.worker w on w.id = j.worker_id
      where j.status = 'processing' and w.name = 'three']])
    assert.equal(2, db:value "select count(*) from jobq.limit_slot")
    three:kill()
  end)

  it("are held and used up by what a run has learned", function()
    ok "limits set api --kind work.polite --rate 10/1s --key-by host --quiet"
    local w = worker "one"
    local id = db:enqueue { "work.polite", args = '{"host": "a"}' }
    db:wait_until("it is kept back", [[select count(*) = 1 from jobq.job j, jobq.why(j.id) y
      where j.id = $1 and j.attempt = 1 and y.code = 'limit_held']], id)
    assert.match("api +kind work.polite +host +10 per 1s +0 +1 +held for", ok("limits").out)
    db:wait_until("its starts are counted", "select tokens < 8 from jobq.limit_bucket")
    local other = db:enqueue { "work.mistaken" }
    assert.match('limit "apu" does not exist', db:wait_for(other, "failed").error)
    assert.equal(0, w:stop())
  end)

  it("of a rate are kept by a worker that drains", function()
    ok "limits set slowly --kind work.count --rate 20/1s --burst 5 --quiet"
    enqueue(15)
    local w = engine.start(db, { ["work.lua"] = WORK }, { executors = 1, drain = true })
    assert.equal(0, w:wait())
    local row = db:row [[select count(*) as n,
      extract(epoch from max(started_at) - min(started_at))::float8 as s from jobq.finished]]
    assert.equal(15, row.n)
    assert.is_true(row.s >= 0.45, row.s)
  end)

  it("of a handler file hold from the first job on, and change with a reload", function()
    enqueue(30)
    local text = WORK:gsub("retry_delay = 0.05", "%0, limits = { running = 3, key_by = 'file' }")
    local dir = handlers { ["work.lua"] = text }
    local w = engine.worker(db, dir, { executors = 1, concurrency = 20 })
    wait_for_all()
    assert.same({ 3, 30 }, { count() })
    local refused = jobq "limits drop work.count"
    assert.same({ 5, true }, { refused.status, refused.err:find("is defined in", 1, true) ~= nil })

    dir:write("work.lua", (text:gsub("running = 3", "rate = '200/1s'")))
    w:signal "sighup"
    db:wait_until("the limit has changed", "select bool_and(rate = 200 and concurrency is null) "
      .. "from jobq.limit_status where name = 'work.count'")
    dir:write("work.lua", WORK)
    w:signal "sighup"
    db:wait_until("it has gone", "select count(*) = 0 from jobq.limit_status")
    assert.equal(0, w:stop())
  end)

  it("are set, shown, changed and dropped by the command", function()
    db:enqueue { "work.count" }
    assert.match("^limit two is set; jobq limits shows",
      ok("limits set two --kind work.count --running 2").out)
    assert.equal("limit two is changed", ok("limits set two --kind work.count --running 3").out)
    assert.equal("limit two is as it was", ok("limits set two --kind work.count --running 3").out)
    assert.equal("jobq: queue \"mail\" is new",
      jobq("limits set api --queue mail --rate 100/m --burst 5 --key-by host").err)
    local out = ok("limits").out
    assert.match("two +kind work%.count +3 +0 +0 +being applied", out)
    assert.match("api +queue mail +host +100 per 1m, 5 at once +0 +0", out)
    assert.same({ "api", 100, 60.0 }, (function(item)
      return { item.name, item.rate, item.per_s }
    end)(ok("limits --json").json.items[1]))
    assert.equal("limit two is gone", ok("limits drop two").out)
    local answer = jobq "limits drop apj"
    assert.same({ 3, "jobq: limit 'apj' does not exist\nhint: did you mean 'api'?" },
      { answer.status, answer.err })
  end)

  it("that cannot be are usage errors", function()
    local unknown = jobq "limits set x --kind a --concurrency 3"
    assert.same({ 2, "jobq: unknown option '--concurrency'\n"
      .. "hint: known are --queue, --kind, --running, --rate, --burst, --key-by" },
      { unknown.status, unknown.err })
    for line, message in pairs {
      ["limits set x --kind a --running 0"] = "'0' is not an integer from 1 to 1000000",
      ["limits set x --kind a"] = 'limit "x" limits nothing, expected a concurrency or a rate',
      ["limits set x --running 1"] = "--queue or --kind is missing",
      ["limits set x --kind a --queue b --running 1"] = "--queue excludes --kind",
      ["limits set x --kind a --rate often"] = "--rate: 'often' is no rate",
    } do
      local answer = jobq(line)
      assert.equal(2, answer.status)
      assert.match(message, answer.err, 1, true)
    end
  end)
end)
