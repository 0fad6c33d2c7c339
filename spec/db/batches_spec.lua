local json = require("jobq.core").json
local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("a batch", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  -- Its callbacks have the names of the events as kinds.
  local function open(more)
    return db:value(("select jobq.open_batch('n', '%q', '%q', '%q'%s)"):format(
      "on_success", "on_failure", "on_complete", more and ", " .. more or ""))
  end

  local function close(id)
    return db:value("select jobq.close_batch($1)", id)
  end

  -- Until nothing is left to count.
  local function advance()
    repeat
      local seconds = w:value "advance"
      if seconds then
        db:query "update jobq.batch_delta set at = now() - interval '1 minute'"
      end
    until not seconds
  end

  -- "on_complete on_success": those that were added, and how often; counts of the last one
  local function called()
    local names, told = {}, nil
    for _, job in ipairs(db:query [[select kind, args::text as args from jobq.job
      where kind like 'on\_%' order by id]]) do
      table.insert(names, job.kind)
      told = json.decode(job.args).batch
    end
    return table.concat(names, " "), told
  end

  local function status(id)
    return db:row("select * from jobq.batch_status where id = $1", id)
  end

  local function finish_all(word)
    local jobs = w:claim()
    for _, job in ipairs(jobs) do
      w:finish(job, word or "completed")
    end
    return jobs
  end

  it("adds on_complete and on_success when all members have completed", function()
    local id = open()
    db:enqueue { "a", batch = id }
    db:query("select jobq.enqueue_many('a', array['{}', '{}']::jsonb[], batch => $1)", id)
    finish_all()
    advance()
    assert.equal("", called())
    assert.is_true(close(id))
    advance()
    local names, told = called()
    assert.equal("on_complete on_success", names)
    assert.same({ id = id, name = "n", event = "on_success", total = 3, succeeded = 3, failed = 0,
      cancelled = 0, expired = 0, deleted = 0 }, told)
    assert.same({ "completed", 100 }, { status(id).status, status(id).percent })
  end)

  it("that is closed waits for its last member, through retries and snoozes", function()
    local id = open()
    db:enqueue { "a", batch = id }
    close(id)
    for _, word in ipairs { "retry", "snooze", "return", "suspect" } do
      finish_all(word)
      advance()
      assert.equal("", called())
    end
    finish_all()
    advance()
    assert.equal("on_complete on_success", called())
  end)

  it("adds on_failure at the first failure, also while it is open", function()
    local id = open()
    for _ = 1, 3 do
      db:enqueue { "a", batch = id }
    end
    local jobs = w:claim()
    w:finish(jobs[1], "failed")
    advance()
    assert.equal("on_failure", called())
    w:finish(jobs[2], "failed")
    w:finish(jobs[3], "completed")
    close(id)
    advance()
    local names, told = called()
    assert.equal("on_failure on_complete", names)
    assert.same({ 3, 1, 2 }, { told.total, told.succeeded, told.failed })
    assert.equal("failed", status(id).status)
  end)

  it("counts cancelled members as ended, apart", function()
    local id = open()
    local waiting = db:enqueue { "a", batch = id, run_at = "2040-01-01" }
    local running = db:enqueue { "a", batch = id }
    local job = w:claim_one()
    close(id)
    db:query("select jobq.cancel($1)", waiting)
    db:query("select jobq.cancel($1)", running)
    w:finish(job, "retry")
    advance()
    local names, told = called()
    assert.equal("on_complete", names)
    assert.same({ 2, 2, 0 }, { told.total, told.cancelled, told.failed })
    assert.equal("cancelled", status(id).status)
  end)

  it("that is empty ends when it is closed, and is closed once", function()
    local id = open()
    advance()
    assert.equal("", called())
    assert.is_true(close(id))
    assert.is_false(close(id))
    advance()
    assert.equal("on_complete on_success", called())
  end)

  it("without callbacks ends, too", function()
    local id = db:value "select jobq.open_batch()"
    close(id)
    advance()
    assert.equal("completed", status(id).status)
    assert.same({}, w:claim())
  end)

  it("shows how far it is before anybody has counted", function()
    local id = open()
    for _ = 1, 4 do
      db:enqueue { "a", batch = id }
    end
    w:finish(w:claim(1)[1])
    local s = status(id)
    assert.same({ "open", 4, 1, 1, 25 }, { s.status, s.total, s.done, s.succeeded, s.percent })
    close(id)
    assert.equal("closed", status(id).status)
    finish_all()
    advance()
  end)

  it("gives callbacks their arguments and options", function()
    local id = db:value [[select jobq.open_batch(on_complete => '{"kind": "report",
      "args": {"to": "ann"}, "options": {"queue": "mail", "priority": 2, "tags": ["t"]}}')]]
    close(id)
    advance()
    local job = db:row [[select args ->> 'to' as who, queue, priority, tags from jobq.job
      where kind = 'report']]
    assert.same({ who = "ann", queue = "mail", priority = 2, tags = { "t" } }, job)
  end)

  it("has its members told of in one go with other ends", function()
    local id, other = open(), open()
    for i = 1, 10 do
      db:enqueue { "a", batch = i <= 5 and id or other }
    end
    local outcomes = {}
    for i, job in ipairs(w:claim()) do
      outcomes[i] = { job, "completed" }
    end
    w:settle(outcomes)
    assert.equal(2, db:value "select count(*) from jobq.batch_delta where succeeded = 5")
  end)

  describe("in a batch", function()
    it("is a member there until it has ended", function()
      local parent = open()
      local child = open("parent => " .. parent)
      db:enqueue { "a", batch = child }
      close(parent)
      close(child)
      advance()
      assert.equal("", called())
      assert.same({ 1, 0 }, { status(parent).total, status(parent).done })
      finish_all()
      advance()
      local names, told = called()
      assert.equal("on_complete on_success on_complete on_success", names)
      assert.equal(parent, told.id)
    end)

    it("that has failed is a failure there", function()
      local parent = open()
      local child = open("parent => " .. parent)
      db:enqueue { "a", batch = child }
      close(parent)
      close(child)
      finish_all "failed"
      advance()
      assert.equal("on_failure on_complete on_failure on_complete", called())
      assert.equal("failed", status(parent).status)
    end)

    it("as deep as you like ends in one go", function()
      local top = open()
      local id = top
      for _ = 1, 20 do
        local child = open("parent => " .. id)
        close(id)
        id = child
      end
      close(id)
      assert.is_nil(w:value "advance")
      assert.equal("completed", status(top).status)
    end)

    it("is never a circle", function()
      local parent = open()
      local child = open("parent => " .. parent)
      local _, _, sqlstate =
        db:try("update jobq.batch set parent = $1 where id = $2", child, parent)
      assert.equal("23514", sqlstate)
    end)
  end)

  describe("that is closed", function()
    local id

    before_each(function()
      id = open()
      db:enqueue { "a", batch = id }
      close(id)
    end)

    local function add(member)
      local ok, message =
        db:try("select jobq.enqueue('a', batch => $1, batch_member => $2)", id, member)
      return ok and true or message
    end

    it("takes jobs of a member that runs, and of nobody else", function()
      local closed = ("batch %d is closed, only a running job of it can add more"):format(id)
      local job = w:claim_one()
      db:enqueue { "a" }
      local stranger = w:claim_one()
      assert.equal(closed, add(nil))
      assert.equal(closed, add(stranger.id))
      assert.is_true(add(job.id))
      w:finish(job)
      assert.equal(closed, add(job.id))
      advance()
      assert.equal("", called())
      finish_all()
      advance()
      assert.equal("on_complete on_success", called())
      assert.equal(2, status(id).total)
      w:finish(stranger)
    end)

    it("takes batches of such a member, too", function()
      local job = w:claim_one()
      local child =
        db:value("select jobq.open_batch(parent => $1, batch_member => $2)", id, job.id)
      w:finish(job)
      advance()
      assert.equal("", called())
      close(child)
      advance()
      assert.equal("on_complete on_success", called())
    end)

    it("and has ended takes nothing, also of a run that is not the member's any more", function()
      local job = w:claim_one()
      w:finish(job)
      advance()
      assert.equal(("batch %d has ended, nothing can be added"):format(id), add(job.id))
    end)
  end)

  describe("with a member that is retried by hand", function()
    local function fail_one(more)
      local id = open(more)
      local member = db:enqueue { "a", batch = id }
      close(id)
      finish_all "failed"
      return id, member
    end

    local function retry(member)
      assert.is_true(db:value("select jobq.retry($1)", member))
    end

    it("before its end waits for it", function()
      local id, member = fail_one()
      retry(member)
      advance()
      assert.equal("on_failure", called())
      finish_all()
      advance()
      assert.equal("on_failure on_complete on_success", called())
      local s = status(id)
      assert.same({ "completed", 1, 0 }, { s.status, s.succeeded, s.failed })
    end)

    it("after its end adds nothing again", function()
      local id, member = fail_one()
      advance()
      retry(member)
      advance()
      finish_all()
      advance()
      assert.equal("on_failure on_complete", called())
      local s = status(id)
      assert.same({ "failed", 1, 0 }, { s.status, s.succeeded, s.failed })
    end)

    it("opens again if it should refire, and so does its parent", function()
      local parent = open "refire => true"
      local _, member = fail_one(("parent => %d, refire => true"):format(parent))
      close(parent)
      advance()
      assert.equal("failed", status(parent).status)
      retry(member)
      finish_all() -- at once: nobody has seen it wait
      advance()
      local names = called()
      assert.equal("on_failure on_complete on_failure on_complete "
        .. "on_complete on_success on_complete on_success", names)
      assert.same({ "completed", 1, 1 },
        { status(parent).status, status(parent).total, status(parent).succeeded })
    end)
  end)

  describe("that is cancelled", function()
    local function cancel(id, after, at_most)
      return db:row("select * from jobq.cancel_batch($1, 'why', $2, $3)",
        id, after or 0, at_most or 1000)
    end

    it("ends waiting members, asks running ones to stop, and takes no more", function()
      local id = open()
      local child = open("parent => " .. id)
      for i = 1, 4 do
        db:enqueue { "a", batch = i % 2 == 0 and child or id }
      end
      local stranger = db:enqueue { "a", run_at = "2040-01-01" }
      local job = w:claim(1)[1]
      assert.same({ jobs = 4 }, cancel(id))
      assert.equal("cancelling", status(id).status)
      w:finish(job, "retry")
      advance()
      assert.equal("on_complete on_complete", called())
      local s = status(id)
      assert.same({ "cancelled", 3, 3 }, { s.status, s.total, s.cancelled })
      assert.equal("pending", db:job(stranger).status)
      assert.equal("why", db:job(job.id).error)
      local _, message = db:try("select jobq.enqueue('a', batch => $1)", id)
      assert.equal(("batch %d has ended, nothing can be added"):format(id), message)
    end)

    it("goes some at a time", function()
      local id = open()
      for _ = 1, 5 do
        db:enqueue { "a", batch = id }
      end
      local first = cancel(id, 0, 3)
      local second = cancel(id, first.last_id, 3)
      assert.same({ 3, 2, nil }, { first.jobs, second.jobs, second.last_id })
      local _, message = db:try("select jobq.enqueue('a', batch => $1)", id)
      assert.equal(("batch %d was cancelled, nothing can be added"):format(id), message)
      advance()
      assert.equal("cancelled", status(id).status)
    end)
  end)

  describe("and open transactions:", function()
    it("one that adds to it keeps it from ending, and nobody waits for that", function()
      local id = open()
      local other = open()
      local app = db:connect()
      assert(app:query "begin")
      assert(app:query(("select jobq.enqueue('a', batch => %d)"):format(id)))
      close(id)
      close(other)
      db:query "set lock_timeout = '1s'"
      assert.equal(1, w:value "advance") -- looks again in a second
      assert.equal("completed", status(other).status)
      assert.equal("closed", status(id).status)
      assert(app:query "commit")
      advance()
      assert.equal("closed", status(id).status)
      finish_all()
      advance()
      assert.equal("completed", status(id).status)
      assert.equal(1, status(id).total)
    end)

    it("one that closes it keeps nobody from adding and ending", function()
      local id = open()
      local app = db:connect()
      assert(app:query "begin")
      assert(app:query(("select jobq.close_batch(%d)"):format(id)))
      db:query "set lock_timeout = '1s'"
      db:enqueue { "a", batch = id }
      finish_all "failed"
      assert.equal(1, w:value "advance")
      assert(app:query "commit")
      advance()
      assert.equal("on_failure on_complete", called())
    end)
  end)

  it("ends when members were deleted by hand, which it counts", function()
    local id = open()
    local child = open("parent => " .. id)
    for _ = 1, 3 do
      db:enqueue { "a", batch = id }
    end
    close(id)
    w:finish(w:claim(1)[1])
    local running = w:claim(1)[1]
    assert.equal(0, db:value "select jobq.count_deleted_members('-1 s')")
    db:query "delete from jobq.ready"
    assert.equal(1, db:value "select jobq.count_deleted_members('-1 s')")
    assert.equal(0, db:value "select jobq.count_deleted_members('-1 s')")
    w:finish(running)
    db:query("delete from jobq.batch where id = $1", child)
    assert.equal(1, db:value "select jobq.count_deleted_members('-1 s')")
    advance()
    local s = status(id)
    assert.same({ 4, 2, 2, "cancelled" }, { s.total, s.succeeded, s.deleted, s.status })
  end)

  it("keeps a worker that drains until it has ended", function()
    local id, other = open(), open()
    close(id)
    assert.is_false(w:value("drained", w.id))
    advance()
    assert.is_true(w:value("drained", w.id))
    db:query("select jobq.cancel(jobq.enqueue('a', batch => $1))", other)
    assert.is_true(w:value("drained", w.id))
  end)

  it("goes with old jobs, an open one stays", function()
    local good, bad = open(), open()
    open()
    db:enqueue { "a", batch = bad }
    close(good)
    close(bad)
    finish_all "failed"
    advance()
    db:query [[update jobq.batch set ended_at = now() - interval '8 days'
      where ended_at is not null]]
    db:query "select jobq.cleanup()"
    assert.equal(2, db:value "select count(*) from jobq.batch")
    db:query "select jobq.cleanup(keep_failed => '1 day')"
    assert.equal(1, db:value "select count(*) from jobq.batch")
  end)

  it("that is gone bothers nobody when a member of it is retried", function()
    local id = open()
    local member = db:enqueue { "a", batch = id }
    close(id)
    finish_all "failed"
    advance()
    db:query "delete from jobq.batch"
    db:query("select jobq.retry($1)", member)
    finish_all()
    assert.is_nil(w:value "advance")
    assert.equal(0, db:value "select count(*) from jobq.batch_delta")
  end)

  it("is not asked for a job that the unique key has kept", function()
    local id = open()
    db:enqueue { "a", batch = id, unique_key = "k" }
    db:enqueue { "a", batch = id, unique_key = "k" }
    assert.equal(1, status(id).total)
  end)

  it("has those as members that a unique key lets in, and waits for each", function()
    local id = open()
    local function put(way)
      return db:value(
        "select jobq.enqueue('a', batch => $1, unique_key => 'k', on_conflict => $2)", id, way)
    end
    local first = put()
    assert.equal(first, put "replace")
    assert.equal(1, status(id).total)
    local second = put "supersede"
    local job = w:claim_one()
    assert.equal(second, job.id)
    local follower = put "follow"
    close(id)
    w:finish(job, "completed")
    advance()
    assert.equal("", called())
    assert.equal(follower, finish_all()[1].id)
    advance()
    local names, told = called()
    assert.equal("on_complete", names) -- one was cancelled
    assert.same({ 3, 2, 1 }, { told.total, told.succeeded, told.cancelled })
  end)

  describe("refuses", function()
    local cases = {
      { "jobq.enqueue('a', batch => 77)", "batch 77 does not exist" },
      { "jobq.enqueue_many('a', array['{}']::jsonb[], batch => 77)", "batch 77 does not exist" },
      { "jobq.enqueue('a', batch_member => 7)", "batch_member 7 has no batch to add to" },
      { "jobq.close_batch(77)", "batch 77 does not exist" },
      { "jobq.close_batch(null)", "batch <NULL> does not exist" },
      { "jobq.cancel_batch(77)", "batch 77 does not exist" },
      { "jobq.open_batch(parent => 77)", "batch 77 does not exist" },
      { "jobq.open_batch('')", 'name "" has 0 characters, expected 1 to 200' },
      { "jobq.open_batch(on_success => '7')",
        "on_success is 7, expected the name of a kind, or {kind, args, options}" },
      { "jobq.open_batch(on_failure => '{\"args\": {}}')", 'on_failure is {"args": {}}, expected' },
      { "jobq.open_batch(on_failure => '{\"kind\": \"a\", \"arg\": {}}')",
        'on_failure has an unknown field "arg"' },
      { "jobq.open_batch(on_failure => '\"\"')", 'kind "" has 0 characters' },
      { "jobq.open_batch(on_complete => '{\"kind\": \"a\", \"args\": []}')",
        'arguments of on_complete of "a" are [], expected a JSON object' },
      { "jobq.open_batch(on_complete => '{\"kind\": \"a\", \"args\": {\"batch\": 1}}')",
        'args of on_complete have a "batch"' },
      { "jobq.open_batch(on_complete => '{\"kind\": \"a\", \"options\": {\"priority\": 10}}')",
        "priority 10 is out of range" },
      { "jobq.open_batch(on_complete => '{\"kind\": \"a\", \"options\": {\"unique_key\": \"k\"}}')",
        'on_complete cannot have the option "unique_key"' },
      { "jobq.open_batch(on_complete => '{\"kind\": \"a\", \"options\": {\"prio\": 1}}')",
        'on_complete cannot have the option "prio"' },
      { "jobq.open_batch(on_complete => '{\"kind\": \"a\", \"options\": 7}')",
        "options are 7, expected a JSON object" },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local rows, message, sqlstate = db:try("select " .. case[1])
        assert.is_nil(rows)
        assert.matches(case[2], message, 1, true)
        assert.equal("22023", sqlstate)
      end)
    end
  end)
end)
