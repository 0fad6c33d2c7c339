local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("lanes", function()
  local mails = { { "email.send", queue = "mail" } }
  local db

  before_each(function()
    db = postgres.database()
  end)

  after_each(function()
    protocol.finish(db)
  end)

  -- Where its waiting jobs stand: "queue shared", "queue own" or "queue follows", and how many.
  local function places(kind)
    local found = {}
    for _, row in ipairs(db:query([[
      select q.name || case when l.follows_kind then ' follows' when l.kind_id = 0 then ' shared'
        else ' own' end as place, count(*) as jobs
      from jobq.ready r join jobq.lane l on l.id = r.lane_id join jobq.queue q on q.id = l.queue_id
      join jobq.kind k on k.id = r.kind_id
      where k.name = $1 group by 1]], kind)) do
      found[row.place] = row.jobs
    end
    return found
  end

  it("keep an undeclared kind apart, and let it follow its kind to a queue", function()
    local id = db:enqueue { "email.send" }
    assert.same({ ["default follows"] = 1 }, places "email.send")
    assert.equal("default", db:job(id).queue)
    local w = protocol.worker(db, { kinds = mails, queues = { "mail" } })
    assert.same({ ["mail follows"] = 1 }, places "email.send")
    assert.equal("mail", db:job(id).queue)
    assert.equal(id, w:claim_one().id)
    db:enqueue { "email.send" }
    assert.same({ ["mail shared"] = 1 }, places "email.send")
  end)

  it("do not move jobs that named their queue", function()
    local id = db:enqueue { "email.send", queue = "slow" }
    assert.same({ ["slow own"] = 1 }, places "email.send")
    local w = protocol.worker(db, { kinds = mails, queues = { "mail" } })
    assert.equal("slow", db:job(id).queue)
    assert.same({}, w:claim())
    local all = protocol.worker(db, { kinds = mails })
    assert.equal(id, all:claim_one().id)
  end)

  it("tell workers when jobs have followed their kind", function()
    db:enqueue { "email.send" }
    local other = protocol.session(db)
    other:ask "listen_jobs"
    protocol.worker(db, { kinds = mails })
    assert.same({ "lanes" }, other:heard(5))
  end)

  it("are quiet when a worker declares what is known", function()
    local kinds = { { "email.send", queue = "mail" }, "a" }
    db:enqueue { "a" }
    local w = protocol.worker(db, { kinds = kinds })
    local before = db:query "select xmin::text, * from jobq.kind order by id"
    local other = protocol.session(db)
    other:ask "listen_jobs"
    w:declare(kinds)
    protocol.worker(db, { kinds = kinds })
    other:sql "notify jobq, 'end'"
    assert.same({ "end" }, other:heard(5))
    assert.same(before, db:query "select xmin::text, * from jobq.kind order by id")
  end)

  it("are shared by kinds that all workers of the queue run, so order holds across them", function()
    local w = protocol.worker(db, { kinds = { "a", "b" } })
    local first = db:enqueue { "a" }
    local second = db:enqueue { "b" }
    assert.same({ ["default shared"] = 1 }, places "b")
    assert.equal(first, w:claim(1)[1].id)
    assert.equal(second, w:claim(1)[1].id)
  end)

  it("part when a worker comes that cannot run a kind, and its jobs move", function()
    local w = protocol.worker(db, { kinds = { "a", "b" } })
    for _ = 1, 3 do
      db:enqueue { "a" }
      db:enqueue { "b" }
    end
    local narrow = protocol.worker(db, { kinds = { "b" } })
    assert.same({ ["default own"] = 3 }, places "a")
    assert.same({ ["default shared"] = 3 }, places "b")
    db:enqueue { "a" }
    assert.same({ ["default own"] = 4 }, places "a")
    assert.equal(3, #narrow:claim())
    assert.equal(4, #w:claim())
  end)

  it("come together again when the last worker left that could not run it", function()
    local w = protocol.worker(db, { kinds = { "a", "b" } })
    local narrow = protocol.worker(db, { kinds = { "b" } })
    local old = db:enqueue { "a" }
    assert.same({ ["default own"] = 1 }, places "a")
    narrow:ask("stop", narrow.id)
    w:sort()
    local new = db:enqueue { "a" }
    assert.same({ ["default own"] = 1, ["default shared"] = 1 }, places "a")
    assert.same({ old, new }, protocol.ids(w:claim()))
  end)

  it("stay as they are when nobody is left", function()
    local w = protocol.worker(db, { kinds = { "a" } })
    w:ask("stop", w.id)
    w:sort()
    db:enqueue { "a" }
    assert.same({ ["default shared"] = 1 }, places "a")
  end)

  it("do not mind workers of other queues", function()
    protocol.worker(db, { kinds = { { "a", queue = "mail" } }, queues = { "mail" } })
    protocol.worker(db, { kinds = { "b" }, queues = { "default" } })
    db:enqueue { "a" }
    assert.same({ ["mail shared"] = 1 }, places "a")
  end)

  it("keep a kind apart in a queue that is not its own", function()
    protocol.worker(db, { kinds = { "a" } })
    db:enqueue { "a", queue = "elsewhere" }
    assert.same({ ["elsewhere own"] = 1 }, places "a")
  end)

  it("move what waits in the shared lane of the queue that a kind has left", function()
    protocol.worker(db, { kinds = { "a", "b" } })
    local id = db:enqueue { "a" }
    protocol.worker(db, { kinds = { { "a", queue = "mail" }, "b" } })
    assert.equal("default", db:job(id).queue) -- it was there when it was enqueued
    assert.same({ ["default own"] = 1 }, places "a")
    db:enqueue { "a" }
    assert.same({ ["default own"] = 1, ["mail shared"] = 1 }, places "a")
  end)

  it("move a backlog in batches, and pass over rows that others hold", function()
    protocol.worker(db, { kinds = { "a", "b" } })
    db:query "select jobq.enqueue_many('a', array_fill('{}'::jsonb, array[30]))"
    local held = db:value "select min(id) from jobq.ready"
    local person = db:connect()
    assert(person:query "begin")
    assert(person:query("select jobq.cancel($1)", held))
    local narrow = protocol.worker(db, { kinds = { "b" } })
    assert.same({ ["default own"] = 29, ["default shared"] = 1 }, places "a")
    assert(person:query "rollback")
    assert.equal(1, narrow:value "sort_lanes")
    assert.equal(0, narrow:value "sort_lanes")
    db:query "update jobq.kind set unsorted = true"
    db:query "update jobq.ready set lane_id = (select id from jobq.lane where kind_id = 0)"
    for _, moved in ipairs { 9, 9, 9, 3, 0 } do
      assert.equal(moved, db:value "select jobq.sort_lanes(9)")
    end
  end)

  it("catch a straggler that was enqueued by the old rule and committed later", function()
    protocol.worker(db, { kinds = { "a", "b" } })
    local slow = db:connect()
    assert(slow:query "begin")
    assert(slow:query "select jobq.enqueue('a')")
    local narrow = protocol.worker(db, { kinds = { "b" } })
    narrow:sort()
    assert(slow:query "commit")
    assert.same({ ["default shared"] = 1 }, places "a")
    narrow:sort()
    assert.same({ ["default own"] = 1 }, places "a")
    narrow:sort()
    assert.is_false(db:value "select unsorted from jobq.kind where name = 'a'")
  end)

  describe("that a worker may claim from", function()
    local function names(w)
      local found = {}
      for _, row in ipairs(w:sql([[
        select q.name || ' ' || coalesce(k.name, '*') as name
        from jobq.lane l
        join jobq.queue q on q.id = l.queue_id
        left join jobq.kind k on k.id = l.kind_id
        where l.id = any ($1::int[]) order by 1]], w:lanes())) do
        table.insert(found, row.name)
      end
      return found
    end

    it("are the shared ones of its queues, and its kinds' own ones there", function()
      db:enqueue { "a", queue = "one" }
      db:enqueue { "a", queue = "two" }
      db:enqueue { "stranger", queue = "one" }
      local w = protocol.worker(db, { kinds = { "a", { "b", queue = "one" } }, queues = { "one" } })
      assert.same({ "one *", "one a" }, names(w))
      local all = protocol.worker(db, { kinds = { "a", "b" } })
      assert.same({ "default *", "one *", "one a", "two a" }, names(all))
    end)
  end)
end)

describe("what a kind declares", function()
  local db

  before_each(function()
    db = postgres.database()
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local kinds = { { "a", max_attempts = 7, priority = 2, timeout = 30, summary = "does a",
    schema = '{"type": "object"}', source = "handlers/a.lua:3" } }

  it("is kept for people", function()
    local w = protocol.worker(db, { kinds = kinds })
    assert.same({
      name = "a", max_attempts = 7, priority = 2, timeout_s = 30.0, summary = "does a",
      schema = '{"type": "object"}', source = "handlers/a.lua:3", generation = "1", known = true,
    }, db:row [[select name, max_attempts, priority, timeout_s, summary, schema, source, generation,
      declared_at is not null as known from jobq.kind]])
    assert.same({ w.kinds.a }, db:value("select kinds from jobq.worker where id = $1", w.id))
  end)

  it("holds for jobs that come after it, unless they say otherwise", function()
    local w = protocol.worker(db, { kinds = kinds })
    local plain = db:enqueue { "a" }
    local special = db:enqueue { "a", max_attempts = 1, priority = 9, timeout = "1 s" }
    local jobs = w:claim()
    assert.same({ plain, 7, 2 }, { jobs[1].id, jobs[1].max_attempts, jobs[1].priority })
    assert.same({ special, 1, 9, 1.0 },
      { jobs[2].id, jobs[2].max_attempts, jobs[2].priority, jobs[2].timeout_s })
    assert.is_nil(jobs[1].timeout_s)
  end)

  it("holds for the attempts of jobs that came before it, too", function()
    local before = db:enqueue { "a" }
    local special = db:enqueue { "a", max_attempts = 2 }
    assert.equal(3, db:job(before).max_attempts)
    local w = protocol.worker(db, { kinds = kinds })
    assert.equal(7, db:job(before).max_attempts)
    assert.equal(2, db:job(special).max_attempts)
    assert.is_nil(w:claim()[1].max_attempts) -- as its handler says, which may be a newer one
    assert.equal(7, db:job(before).max_attempts)
    w:settle { { { seq = 1, slot = 1 }, "completed" }, { { seq = 1, slot = 2 }, "completed" } }
    assert.equal(7, db:job(before).max_attempts)
  end)

  it("by the last worker counts", function()
    protocol.worker(db, { kinds = kinds })
    protocol.worker(db, { kinds = { { "a", max_attempts = 4 } } })
    assert.equal(4, db:job(db:enqueue { "a" }).max_attempts)
    assert.equal(5, db:job(db:enqueue { "a" }).priority)
  end)

  it("can be declared by two workers at once in any order", function()
    local w = protocol.worker(db, { kinds = {} })
    local other = protocol.worker(db, { kinds = {} })
    local function say(worker, names)
      local none = { "", "" }
      return worker.id, names, { "q2", "q1" }, { 3, 3 }, { 5, 5 }, { 60, 60 }, none, none, none, "1"
    end
    w:sql "begin"
    w:ask("declare_kinds", say(w, { "x", "y" }))
    other:send("declare_kinds", say(other, { "y", "x" }))
    protocol.wait_until_blocked(db, other)
    w:sql "commit"
    assert.equal(2, #other:result())
    assert.equal(2, db:value "select count(*) from jobq.kind")
  end)
end)
