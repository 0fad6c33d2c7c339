local postgres = require "support.postgres"
local protocol = require "db.protocol"

local KINDS = { "a", "b", { "mail", queue = "mail" } }

-- Each slot is of a job that is in line or in a lease; each limited one of these has a slot of each
-- of its limits; no limit has more than it allows.
local CHECKS = {
  ["a slot of no live job"] = [[
    select s.job_id from jobq.limit_slot s
    where not exists (select from jobq.ready r where r.id = s.job_id and r.run_at < 'infinity')
      and not exists (select from jobq.lease l where s.job_id = any (l.ids)
        and array_position(l.ids, s.job_id) <> all (l.done))]],
  ["a job without its slot"] = [[
    select j.id from (
      select r.id, r.kind_id, r.lane_id from jobq.ready r where r.run_at < 'infinity'
      union all
      select j.id, j.kind_id, j.lane_id from jobq.lease l, unnest(l.jobs) with ordinality as j (id,
        run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
      where j.slot <> all (l.done)) j
    join jobq.lane a on a.id = j.lane_id
    join jobq.limits m on m.kind_id = j.kind_id or m.queue_id = a.queue_id
    where not exists (
      select from jobq.limit_slot s where s.job_id = j.id and s.limit_id = m.id)]],
  ["a limit that is exceeded"] = [[
    select m.name from jobq.limits m join jobq.limit_slot s on s.limit_id = m.id
    group by m.name, m.concurrency, s.key having count(*) > m.concurrency]],
}

describe("a limit", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = KINDS })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function check()
    for what, sql in pairs(CHECKS) do
      assert.same({}, db:query(sql), what)
    end
  end

  -- As the workers do until nothing is to be done at once.
  local function advance()
    local seconds
    for _ = 1, 50 do
      seconds = w:value "advance"
      if not seconds or seconds > 0 then
        break
      end
    end
    return seconds
  end

  local function set(arguments, ...)
    local happened = db:value(("select jobq.set_limit(%s)"):format(arguments), ...)
    w:declare(KINDS)
    advance()
    w:declare(KINDS)
    return happened
  end

  local function enqueue(kind, many, more)
    local ids = {}
    for i = 1, many do
      local job = { kind }
      for key, value in pairs(more or {}) do
        job[key] = value
      end
      ids[i] = db:enqueue(job)
    end
    return ids
  end

  local function why(id)
    return db:row("select code, words, hint from jobq.why($1) limit 1", id)
  end

  it("lets so many run at a time, in their order, and each end is followed by the next", function()
    assert.equal("set", set "'two', kind => 'a', concurrency => 2")
    local ids = enqueue("a", 4)
    local soon = enqueue("a", 1, { priority = 1 })[1]
    assert.same({}, w:claim())
    advance()
    check()
    local jobs = w:claim()
    assert.same({ soon, ids[1] }, protocol.ids(jobs))
    assert.same({}, w:claim())
    w:finish(jobs[2])
    advance()
    check()
    assert.same({ ids[2] }, protocol.ids(w:claim()))
    w:finish(jobs[1])
    advance()
    assert.same({ ids[3] }, protocol.ids(w:claim()))
    check()
  end)

  it("leaves others alone: they are enqueued and claimed as ever", function()
    set "'one', kind => 'a', concurrency => 1"
    enqueue("a", 3)
    local id = db:enqueue { "b" }
    assert.equal(id, w:claim_one().id)
    assert.is_nil(db:value("select meta from jobq.find($1)", id))
  end)

  it("keeps its backlog out of the way of claims", function()
    set "'one', kind => 'a', concurrency => 1"
    db:query "select count(*) from jobq.enqueue_many('a', array_fill('{}'::jsonb, array[5000]))"
    advance()
    w:finish(w:claim_one())
    local lane = db:value "select lane_id from jobq.ready limit 1"
    local before = enqueue("b", 3)
    local plan = w:analyze("claim", ("(1, 1, 10, 64, '{%d}', '{5}', '{-infinity}', '{0}', '{%d}')")
      :format(lane, w.kinds.b))
    assert.match("rows=3[%. ]", plan) -- "rows=3.00" from 18 on
    assert.is_nil(plan:find "Rows Removed by Filter: %d%d")
    assert.equal(3, #w:claim(10))
    assert.equal(before[1],
      db:value "select min(j.id) from jobq.job j where j.status = 'processing'")
  end)

  it("holds for jobs of many at once", function()
    set "'one', kind => 'a', concurrency => 3"
    db:query "select jobq.enqueue_many('a', array_fill('{}'::jsonb, array[20]))"
    db:query "select jobq.enqueue_many('b', array_fill('{}'::jsonb, array[20]))"
    advance()
    check()
    assert.equal(23, #w:claim())
    assert.equal(17, db:value "select count(*) from jobq.parked")
  end)

  it("of a queue holds for all its kinds, wherever they are at home", function()
    set "'mails', queue => 'mail', concurrency => 2"
    enqueue("mail", 2)
    enqueue("a", 2, { queue = "mail" })
    enqueue("nobody.knows", 1, { queue = "mail" })
    local free = enqueue("a", 1)[1]
    advance()
    check()
    assert.same({ 1, 2, free }, protocol.ids(w:claim()))
  end)

  it("may be one of several: all have to have room", function()
    set "'mails', queue => 'mail', concurrency => 3"
    set "'one', kind => 'mail', concurrency => 1"
    local ids = enqueue("mail", 3)
    local others = enqueue("a", 3, { queue = "mail" })
    advance()
    check()
    local jobs = w:claim()
    assert.same({ ids[1], others[1], others[2] }, protocol.ids(jobs))
    w:finish(jobs[1])
    advance()
    check()
    assert.same({ ids[2] }, protocol.ids(w:claim()))
  end)

  it("by an argument counts each of its values by itself", function()
    set "'tenants', kind => 'a', concurrency => 1, key_by => 'tenant.id'"
    local function of(tenant)
      return enqueue("a", 2, { args = ('{"tenant": {"id": %s}}'):format(tenant) })[1]
    end
    local first = { of "1", of '"x"', of "2", enqueue("a", 2)[1] }
    advance()
    check()
    local jobs = w:claim()
    assert.same(first, protocol.ids(jobs))
    w:finish(jobs[3])
    advance()
    assert.equal(first[3] + 1, w:claim_one().id)
  end)

  it("by limit_key counts what the enqueue says, whatever the arguments are", function()
    set "'keys', queue => 'default', concurrency => 1, key_by => 'limit_key'"
    enqueue("a", 2, { limit_key = "x" })
    enqueue("b", 2, { limit_key = "x" })
    enqueue("b", 2, { limit_key = "y" })
    enqueue("a", 2)
    db:query "select jobq.enqueue_many('a', array['{}', '{}']::jsonb[], limit_key => 'z')"
    advance()
    check()
    assert.equal(4, #w:claim())
    local _, said = db:try "select jobq.enqueue('a', limit_key => '')"
    assert.equal('limit_key "" has 0 characters, expected 1 to 200', said)
  end)

  it("gives no slot to what is paused or what nobody runs", function()
    set "'two', queue => 'default', concurrency => 2"
    enqueue("a", 2)
    enqueue("nobody.knows", 2)
    local ids = enqueue("b", 3)
    db:query "select jobq.pause(kind => 'a')"
    w:declare(KINDS)
    advance()
    local jobs = w:claim()
    assert.same({ ids[1], ids[2] }, protocol.ids(jobs))
    db:query "select jobq.resume(kind => 'a')"
    w:declare(KINDS)
    w:finish(jobs[1])
    advance()
    check()
    assert.equal(1, w:claim_one().id)
  end)

  it("takes its slot from a job that is paused before it is claimed", function()
    set "'one', queue => 'default', concurrency => 1"
    set "'r', kind => 'a', rate => 2, per => '1 hour'"
    local paused = enqueue("a", 2, { cost = 2 })[1]
    local other = enqueue("b", 1)[1]
    advance()
    local slot = "select job_id from jobq.limit_slot limit 1"
    assert.equal(paused, db:value(slot))
    db:query "select jobq.pause(kind => 'a')"
    w:declare(KINDS)
    advance()
    check()
    local job = w:claim_one()
    assert.equal(other, job.id)
    db:query "select jobq.resume(kind => 'a')"
    w:declare(KINDS)
    w:finish(job)
    advance()
    check()
    assert.equal(paused, w:claim_one().id) -- and has its cost back
  end)

  it("takes its slot from a job that nobody runs any more before it is claimed", function()
    set "'one', queue => 'default', concurrency => 1"
    enqueue("a", 1)
    local other = enqueue("b", 1)[1]
    advance()
    w:declare { "b" }
    advance()
    assert.same({}, w:claim())
    db:query "update jobq.limit_turn set swept_at = now() - interval '61 seconds'"
    advance()
    check()
    assert.equal(other, w:claim_one().id)
  end)

  it("keeps its slots with a job that comes back without having run", function()
    set "'two', kind => 'a', concurrency => 2"
    local ids = enqueue("a", 3)
    advance()
    w:finish(w:claim(1)[1], "return")
    check()
    assert.equal(2, #w:claim())
    protocol.bury(db, w)
    check()
    w = protocol.worker(db, { kinds = KINDS })
    advance()
    assert.same({ ids[1], ids[2] }, protocol.ids(w:claim()))
    protocol.bury(db, w) -- each alone in its lease now: its attempt is used up
    check()
    w = protocol.worker(db, { kinds = KINDS })
    advance()
    assert.equal(ids[3], w:claim_one().id)
  end)

  for _, outcome in ipairs { "retry", "snooze", "crash" } do
    it("gives its slot to another while a job waits again after " .. outcome, function()
      set "'one', kind => 'a', concurrency => 1"
      local ids = enqueue("a", 2)
      advance()
      w:finish(w:claim_one(), outcome, { delay_ms = 10000000, error = "x" })
      check()
      assert.is_true(db:value("select run_at > now() + '1 hour' from jobq.find($1)", ids[1]))
      assert.is_not.equal("limit", why(ids[1]).code)
      advance()
      assert.equal(ids[2], w:claim_one().id)
      db:query("select jobq.edit($1, run_at => now())", ids[1])
      advance()
      check()
      assert.same({}, w:claim())
      assert.equal("limit", why(ids[1]).code)
    end)
  end

  it("goes by the time of scheduled jobs, and tells when the next is due", function()
    set "'one', kind => 'a', concurrency => 1"
    local later = enqueue("a", 1, { delay = "1 hour" })[1]
    local soon = enqueue("a", 1, { delay = "1 hour" })[1]
    assert.equal(1.0, advance())
    assert.same({}, w:claim())
    assert.equal("scheduled", why(later).code)
    db:query("select jobq.edit($1, run_at => now() + interval '900 ms')", soon)
    local seconds = advance()
    assert.is_true(seconds > 0 and seconds <= 0.9, seconds)
    db:query("select jobq.edit($1, run_at => now())", soon)
    advance()
    assert.equal(soon, w:claim_one().id)
    assert.equal(1.0, advance())
    check()
  end)

  it("takes a slot from a job that is put off, cancelled or asked to stop", function()
    set "'one', kind => 'a', concurrency => 1"
    local ids = enqueue("a", 4)
    advance()
    db:query("select jobq.edit($1, run_at => now() + interval '1 hour')", ids[1])
    check()
    advance()
    db:query("select jobq.cancel($1)", ids[2])
    check()
    advance()
    local job = w:claim_one()
    assert.equal(ids[3], job.id)
    db:query("select jobq.cancel($1)", ids[3])
    w:finish(job, "retry")
    check()
    advance()
    assert.equal(ids[4], w:claim_one().id)
  end)

  it("follows jobs that are edited to other arguments and queues", function()
    set "'mails', queue => 'mail', concurrency => 1, key_by => 'to'"
    local ids = enqueue("mail", 3, { args = '{"to": "ann"}' })
    advance()
    db:query([[select jobq.edit($1, '{"to": "bob"}')]], ids[2])
    advance()
    check()
    db:query("select jobq.edit_many(array[$1::bigint], queue => 'elsewhere')", ids[1])
    db:query("select jobq.edit_many(array[$1::bigint], run_at => now() + '1 hour')", ids[2])
    check()
    advance()
    check()
    assert.same({ ids[1], ids[3] }, protocol.ids(w:claim()))
    local id = db:enqueue { "a", args = '{"to": "ann"}' }
    db:query("select jobq.edit_many(array[$1::bigint], queue => 'mail')", id)
    advance()
    check()
    assert.same({}, w:claim())
  end)

  it("holds for jobs that are retried by hand", function()
    set "'one', kind => 'a', concurrency => 1"
    local ids = enqueue("a", 2)
    advance()
    w:finish(w:claim_one(), "failed", { error = "x" })
    db:query("select jobq.retry($1)", ids[1])
    check()
    advance()
    assert.equal(1, #w:claim())
  end)

  it("holds for what others have parked and let go", function()
    set "'one', kind => 'a', concurrency => 1"
    local ids = enqueue("a", 2)
    advance()
    db:query("select jobq.park($1, 'spec', 'x')", ids[1])
    db:query("select jobq.unpark(array[$1::bigint])", ids[1])
    check() -- it had its slot
    db:query("update jobq.parked set why = 'spec' where job_id = $1", ids[2])
    db:query("select jobq.unpark(array[$1::bigint])", ids[2])
    check()
    assert.equal(ids[1], w:claim_one().id)
  end)

  it("is changed while jobs run: lower and higher bind at the next promotion", function()
    set "'n', kind => 'a', concurrency => 3"
    enqueue("a", 10)
    advance()
    local jobs = w:claim()
    assert.equal(3, #jobs)
    assert.equal("changed", set "'n', kind => 'a', concurrency => 1")
    assert.equal("unchanged", set "'n', kind => 'a', concurrency => 1")
    w:finish(jobs[1])
    w:finish(jobs[2])
    advance()
    assert.same({}, w:claim())
    w:finish(jobs[3])
    advance()
    assert.equal(1, #w:claim())
    set "'n', kind => 'a', concurrency => 5"
    assert.equal(4, #w:claim())
    check()
  end)

  it("that is dropped lets all go that waited for it, and no other", function()
    set "'one', kind => 'a', concurrency => 1"
    set "'two', queue => 'default', concurrency => 2"
    enqueue("a", 5)
    advance()
    assert.is_true(db:value "select jobq.drop_limit('one')")
    assert.is_false(db:value "select jobq.drop_limit('one')")
    advance()
    check()
    assert.equal(2, #w:claim())
    db:query "select jobq.drop_limit('two')"
    w:declare(KINDS)
    advance()
    assert.equal(3, #w:claim())
    assert.equal(0, db:value "select count(*) from jobq.limit_slot")
    db:enqueue { "a" }
    assert.is_nil(w:claim_one().meta)
  end)

  describe("that is new", function()
    it("counts what runs, parks what waits, and lets nothing start until then", function()
      enqueue("a", 10)
      local jobs = w:claim(3)
      local other = db:enqueue { "b" }
      db:query "select jobq.set_limit('two', kind => 'a', concurrency => 2)"
      w:declare(KINDS)
      assert.equal(other, w:claim_one().id)
      advance()
      assert.same({ holders = 3, waiting = 7, exact = true },
        db:row "select holders, waiting, applied_at is not null as exact from jobq.limit_status")
      w:declare(KINDS)
      assert.same({}, w:claim())
      w:finish(jobs[1])
      w:finish(jobs[2])
      advance()
      assert.equal(1, #w:claim())
      check()
      w:finish(jobs[3], "retry", { delay_ms = 10000000 })
      advance()
      assert.equal(1, #w:claim())
      check()
    end)

    it("counts what comes back as what it runs", function()
      enqueue("a", 3)
      local jobs = w:claim(2)
      set "'two', kind => 'a', concurrency => 2"
      w:finish(jobs[1], "return")
      advance()
      check()
      assert.same({ jobs[1].id }, protocol.ids(w:claim()))
      w:finish(jobs[2])
      advance()
      assert.equal(1, #w:claim())
      check()
    end)

    it("of a queue holds it until it is applied", function()
      local ids = enqueue("mail", 3)
      db:query "select jobq.set_limit('two', queue => 'mail', concurrency => 2)"
      assert.same({}, w:claim())
      advance()
      assert.same({ ids[1], ids[2] }, protocol.ids(w:claim()))
      check()
    end)

    it("is exact when the last transaction has ended that did not know of it", function()
      local slow = db:connect()
      assert(slow:query "begin")
      assert(slow:query "select jobq.enqueue('a')")
      set "'one', kind => 'a', concurrency => 1"
      assert.equal(5.0, advance())
      assert.is_nil(db:value "select exact_at from jobq.limit_status")
      assert(slow:query "commit")
      db:query "update jobq.limit_state set looked_at = now() - interval '1 minute'"
      advance()
      check()
      db:query "update jobq.limit_state set looked_at = now() - interval '1 minute'"
      advance()
      assert.is_not_nil(db:value "select exact_at from jobq.limit_status")
      assert.equal(1, #w:claim())
    end)

    it("by another argument sorts those that wait already", function()
      set "'five', kind => 'a', concurrency => 5"
      enqueue("a", 3, { args = '{"tenant": 1}' })
      enqueue("a", 3, { args = '{"tenant": 2}' })
      set "'each', kind => 'a', concurrency => 1, key_by => 'tenant'"
      advance()
      check()
      local jobs = w:claim()
      assert.same({ 1, 4 }, protocol.ids(jobs))
      w:finish(jobs[2])
      advance()
      assert.equal(5, w:claim_one().id)
    end)

    it("is there before its kind, whose first worker keeps it", function()
      db:query "select jobq.set_limit('x', kind => 'new', concurrency => 1)"
      enqueue("new", 3)
      table.insert(KINDS, "new")
      w:declare(KINDS)
      assert.same({}, w:claim())
      advance()
      w:declare(KINDS)
      assert.equal(1, #w:claim())
      check()
      table.remove(KINDS)
    end)
  end)

  describe("of a rate", function()
    local function pass(seconds)
      db:query("update jobq.limit_bucket set refilled_at = refilled_at - make_interval(secs => $1)",
        seconds)
      return advance()
    end

    it("lets so many start per period, and a burst after a rest", function()
      set "'r', kind => 'a', rate => 2, per => '1000 s', burst => 3"
      enqueue("a", 10)
      assert.equal(1.0, advance())
      assert.equal(3, #w:claim())
      pass(490)
      assert.equal(0, #w:claim())
      assert.equal("rate", why(10).code)
      local seconds = pass(9.5)
      assert.is_true(seconds < 0.5, seconds)
      pass(0.5)
      assert.equal(1, #w:claim())
      pass(10000)
      assert.equal(3, #w:claim())
      check()
    end)

    it("counts each run, also one that is tried again at once", function()
      set "'r', kind => 'a', rate => 1, per => '1 hour'"
      enqueue("a", 1)
      advance()
      w:finish(w:claim_one(), "retry")
      advance()
      assert.same({}, w:claim())
      check()
    end)

    it("is used up further, and held, by what handlers tell", function()
      set "'r', kind => 'a', rate => 10, per => '10 s'"
      db:query "select jobq.use_limit('r', 8.5)"
      enqueue("a", 10)
      advance()
      assert.equal(1, #w:claim())
      db:query "select jobq.hold_limit('r', 100)"
      pass(50)
      assert.equal(0, #w:claim())
      assert.equal("limit_held", why(10).code)
      db:query "update jobq.limit_bucket set held_until = now()"
      advance()
      assert.equal(9, #w:claim())
    end)

    it("counts a job as what it costs, in order: dear ones are not overtaken", function()
      set "'r', kind => 'a', rate => 10, per => '1000 s'"
      local first = enqueue("a", 1, { cost = 4 })[1]
      local dear = enqueue("a", 1, { cost = 7 })[1]
      local cheap = enqueue("a", 5)
      advance()
      assert.same({ first }, protocol.ids(w:claim()))
      assert.same({
        code = "rate", words = 'limit "r" lets 10 jobs start per 00:16:40; this one counts as 7 '
          .. "and may in 1m",
      }, why(dear))
      assert.equal("limit_turn", why(cheap[1]).code)
      local seconds = pass(99.5)
      assert.is_true(seconds < 0.6, seconds)
      assert.same({}, w:claim())
      pass(1)
      assert.same({ dear }, protocol.ids(w:claim()))
      pass(500)
      assert.same(cheap, protocol.ids(w:claim()))
      check()
    end)

    it("lets a job that costs more than there can be start when all is there", function()
      set "'r', kind => 'a', rate => 10, per => '1000 s', burst => 5"
      local dear = enqueue("a", 2, { cost = 8 })
      advance()
      assert.same({ dear[1] }, protocol.ids(w:claim()))
      pass(790)
      assert.same({}, w:claim())
      pass(11)
      assert.same({ dear[2] }, protocol.ids(w:claim()))
    end)

    it("asks the cost of rates only, whoever says it", function()
      set "'r', kind => 'a', rate => 10, per => '1 hour'"
      set "'n', kind => 'b', concurrency => 4"
      db:query [[select jobq.enqueue_with(k, '{}', '{"cost": 5}')
        from unnest(array['a', 'a', 'a', 'b', 'b']) k]]
      db:query "select jobq.enqueue_many('b', array['{}', '{}']::jsonb[], cost => 3)"
      advance()
      assert.equal(2 + 4, #w:claim())
      for _, cost in ipairs { 0, 1000001 } do
        local _, said = db:try("select jobq.enqueue('a', cost => $1)", cost)
        assert.equal(("cost %d is out of range, expected 1 to 1000000"):format(cost), said)
      end
    end)

    it("of each key is used up and held by itself", function()
      set "'r', kind => 'a', rate => 2, per => '1 hour', key_by => 'host'"
      db:query "select jobq.hold_limit('r', 100, 'x')"
      db:query "select jobq.use_limit('r', 1, 'y')"
      for _, host in ipairs { "x", "y", "z" } do
        enqueue("a", 3, { args = ('{"host": "%s"}'):format(host) })
      end
      advance()
      assert.equal(3, #w:claim())
      check()
    end)
  end)

  describe("of a handler file", function()
    local TWO = '[{"name": "a", "concurrency": 2}]'

    local function declare(worker, given, source)
      local problems = {}
      for i, row in ipairs(worker:ask("declare_limits", worker.id, { "a", "b" },
        { given or "", "" }, { source or "handlers/a.lua:2", "handlers/b.lua:1" })) do
        problems[i] = row.problem
      end
      worker:declare(KINDS)
      return problems
    end

    local function limits(columns)
      return db:query(("select %s from jobq.limit_status order by name"):format(columns or "name"))
    end

    local function load_error()
      return db:row("select load_error from jobq.worker where id = $1", w.id).load_error
    end

    it("is there with its kinds, so that nothing starts before it", function()
      db:query "select jobq.enqueue_many('new', array_fill('{}'::jsonb, array[3]))"
      w:ask("declare_limits", w.id, { "b", "new" }, { "", '[{"name": "n", "concurrency": 1}]' },
        { "handlers/b.lua:1", "handlers/new.lua:2" })
      w:declare { "b", "new" }
      assert.same({}, w:claim())
      advance()
      w:declare { "b", "new" }
      assert.equal(1, #w:claim())
      check()
      assert.same({ { name = "n", kind = "new", source = "handlers/new.lua:2" } },
        limits "name, kind, source")
    end)

    it("changes with its file, and keeps what is counted", function()
      declare(w, TWO)
      advance()
      declare(w, TWO)
      enqueue("a", 4)
      advance()
      assert.equal(2, #w:claim())
      declare(w, '[{"name": "a", "concurrency": 3}, {"name": "r", "rate": 100, "per": 60,'
        .. '"burst": 5, "key_by": "limit_key"}]')
      assert.same({
        { name = "a", concurrency = 3, holders = 2 },
        { name = "r", holders = 0, rate = 100, per = "00:01:00", burst = 5, key_by = "limit_key" },
      }, limits "name, concurrency, holders, rate, per, burst, key_by")
      declare(w, TWO)
      assert.same({ { name = "a" } }, limits())
      declare(w)
      assert.same({}, limits())
    end)

    it("is written once a set of handlers, so that two do not change it to and fro", function()
      declare(w, TWO)
      local other = protocol.worker(db, { kinds = KINDS })
      declare(other, '[{"name": "a", "concurrency": 7}]')
      declare(w, TWO)
      assert.equal(7, limits "concurrency"[1].concurrency)
      other:ask("stop", other.id)
      declare(w, TWO)
      assert.equal(2, limits "concurrency"[1].concurrency)
    end)

    it("goes with its kind when nobody runs that any more", function()
      local other = protocol.worker(db, { kinds = KINDS })
      declare(w, TWO)
      for _, worker in ipairs { w, other } do
        assert.same({ { name = "a" } }, limits())
        worker:ask("declare_limits", worker.id, { "b" }, { "" }, { "handlers/b.lua:1" })
        worker:declare { "b" }
      end
      assert.same({}, limits())
    end)

    it("goes when another release of it has it no more", function()
      declare(w, TWO, "/old/a.lua:2")
      local other = protocol.worker(db, { kinds = KINDS })
      declare(other, nil, "/new/a.lua:2")
      assert.same({ { name = "a" } }, limits())
      w:ask("stop", w.id)
      declare(other, nil, "/new/a.lua:2")
      assert.same({}, limits())
    end)

    it("and one by hand do not take each other's name", function()
      db:query "select jobq.set_limit('a', kind => 'b', concurrency => 1)"
      local told = 'limit of a (handlers/a.lua:2): limit "a" is already set by jobq.set_limit()\n'
        .. "hint: jobq limits drop a"
      assert.same({ told }, declare(w, TWO))
      assert.equal(told, load_error())
      db:query "select jobq.drop_limit('a')"
      assert.same({}, declare(w, TWO))
      assert.is_nil(load_error())
      local _, message = db:try "select jobq.set_limit('a', kind => 'a', concurrency => 1)"
      assert.equal('limit "a" is already defined in handlers/a.lua:2', message)
      _, message = db:try "select jobq.drop_limit('a')"
      assert.equal('limit "a" is defined in handlers/a.lua:2', message)
      w:ask("stop", w.id)
      assert.is_true(db:value "select jobq.drop_limit('a')")
    end)

    it("is refused when another living worker has it from another file", function()
      declare(w, TWO)
      local other = protocol.worker(db, { kinds = KINDS })
      assert.equal("limit of a (more/a.lua:9): "
        .. 'limit "a" is already defined in handlers/a.lua:2\n'
        .. "hint: change it there, or choose another name: the stricter limit counts",
        declare(other, TWO, "more/a.lua:9")[1])
      w:ask("stop", w.id)
      assert.same({}, declare(other, TWO, "more/a.lua:9"))
      assert.same({ { source = "more/a.lua:9" } }, limits "source")
    end)

    it("waits for nobody who is changing it", function()
      declare(w, TWO)
      local other = db:connect()
      assert(other:query "begin")
      assert(other:query "select from jobq.limits for update")
      assert.matches("lock timeout", declare(w, '[{"name": "a", "concurrency": 5}]')[1])
      assert(other:query "rollback")
      assert.same({}, declare(w, '[{"name": "a", "concurrency": 5}]'))
      assert.equal(5, limits "concurrency"[1].concurrency)
    end)
  end)

  it("says who holds it, to those who ask why", function()
    set "'calls', kind => 'a', concurrency => 4"
    local ids = enqueue("a", 5)
    advance()
    assert.same({
      code = "limit", hint = "jobq limits shows all of them",
      words = 'limit "calls" lets 4 jobs run at a time; jobs 1, 2, 3 and 1 more do',
    }, why(ids[5]))
    db:query "select jobq.set_limit('calls', kind => 'a', concurrency => 5)"
    assert.equal("limit_turn", why(ids[5]).code)
  end)

  it("that cannot be is refused where it is set", function()
    for arguments, message in pairs {
      ["'x', kind => 'a'"] = 'limit "x" limits nothing, expected a concurrency or a rate',
      ["'x', kind => 'a', concurrency => 0"] = "concurrency 0 is out of range, expected 1 to",
      ["'x', kind => 'a', rate => 0"] = "rate 0 is out of range, expected 1 to 1000000",
      ["'x', kind => 'a', rate => 1, per => '0'"] = "per 00:00:00 is out of range",
      ["'x', kind => 'a', concurrency => 1, burst => 2"] = "burst 2 has no rate to exceed",
      ["'x', concurrency => 1"] = "a limit is of a queue or of a kind, got neither",
      ["'x', 'q', 'a', concurrency => 1"] = "a limit is of a queue or of a kind, got both",
      ["'', kind => 'a', concurrency => 1"] = 'limit "" has 0 characters, expected 1 to 100',
    } do
      local _, said, code = db:try(("select jobq.set_limit(%s)"):format(arguments))
      assert.match(message, said, 1, true)
      assert.equal("22023", code)
    end
    local _, _, _, _, hint = db:try "select jobq.set_limit('x', kind => 'a', concurrency => 0)"
    assert.match("jobq.pause", hint)
    local _, said = db:try "select jobq.hold_limit('y', 1)"
    assert.equal('limit "y" does not exist', said)
  end)

  describe("under workers that settle, return, die and cancel in any order", function()
    local WORDS = { "completed", "completed", "retry", "return", "snooze", "failed", "suspect" }
    local others

    before_each(function()
      set "'q', queue => 'default', concurrency => 4"
      set "'k', kind => 'a', concurrency => 2"
      math.randomseed(7)
      others = {}
      for i = 1, 3 do
        others[i] = protocol.worker(db, { kinds = KINDS, name = "w" .. i })
      end
    end)

    local function work(v)
      v:ask "advance"
      check()
      for _, job in ipairs(v:claim(math.random(3))) do
        local word = WORDS[math.random(#WORDS)]
        v:finish(job, word, { error = "x", delay_ms = word == "retry" and 0 or nil })
        check()
      end
    end

    local function die(i)
      others[i]:claim(5)
      protocol.bury(db, others[i])
      check()
      others[i] = protocol.worker(db, { kinds = KINDS, name = "new" })
      db:query "select jobq.cancel(r.id) from jobq.ready r order by random() limit 2"
      check()
    end

    local function finish_all()
      advance()
      for _, job in ipairs(w:claim()) do
        w:finish(job)
      end
      db:query "update jobq.parked set due = now() where due > now()"
      return db:value "select count(*) = 0 from jobq.ready"
    end

    it("is never exceeded, and all is done in the end", function()
      for round = 1, 60 do
        enqueue(round % 3 == 0 and "b" or "a", 1)
        work(others[math.random(#others)])
        if round % 10 == 0 then
          die(math.random(#others))
        end
      end
      for _, v in ipairs(others) do
        protocol.bury(db, v)
      end
      protocol.wait_until("all is done", finish_all)
      assert.equal(0, db:value "select count(*) from jobq.limit_slot")
    end)
  end)

  it("is looked after by one worker at a time", function()
    set "'one', kind => 'a', concurrency => 1"
    enqueue("a", 2)
    local other = protocol.worker(db, { kinds = KINDS })
    w:sql "begin"
    w:ask "advance"
    assert.equal(0.2, other:value "advance")
    w:sql "commit"
    other:ask "advance"
    check()
  end)

  it("makes no settle and no promotion wait for an application's open transaction", function()
    set "'one', kind => 'a', concurrency => 1"
    local ids = enqueue("a", 3)
    advance()
    local app, person = db:connect(), db:connect()
    for _, conn in ipairs { app, person } do
      assert(conn:query "begin")
    end
    assert(app:query "select jobq.enqueue('a')")
    assert(person:query "select jobq.set_limit('one', kind => 'a', concurrency => 7)")
    assert(person:query("select jobq.cancel($1)", ids[2]))
    w:sql "set lock_timeout = '2s'"
    w:finish(w:claim_one())
    advance()
    assert.equal(ids[3], w:claim_one().id)
    assert(app:query "rollback")
    assert(person:query "rollback")
    check()
  end)
end)
