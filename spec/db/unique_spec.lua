--- Unique keys: what holds them, and what happens when they are taken.
local postgres = require "support.postgres"
local protocol = require "db.protocol"

local PUT = "select * from jobq.enqueue_with('a', $1::jsonb, ('{' || $2 || '}')::jsonb)"

describe("a unique key", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
    w:sql "set lock_timeout = '5s'"
  end)

  after_each(function()
    protocol.finish(db)
  end)

  -- An enqueue of kind "a" with key "k": id, what happened. options is JSON without the braces.
  local function put_by(conn, args, options)
    local rows, message = conn:query(PUT, args or "{}", options or '"unique_key": "k"')
    assert(rows, message)
    return rows[1].id, rows[1].happened
  end

  local function put(args, options)
    local conn <close> = db:connect()
    return put_by(conn, args, options)
  end

  local function with(way, more)
    return ('"unique_key": "k", "on_conflict": "%s"%s'):format(way, more and ", " .. more or "")
  end

  local function args_of(id)
    return db:value("select args::text from jobq.find($1)", id)
  end

  local function parked(id)
    return db:value("select why from jobq.parked where job_id = $1", id)
  end

  local function keys()
    return db:value "select count(*) from jobq.unique_key"
  end

  describe("is free", function()
    local endings = {
      ["completed"] = function(job) w:finish(job, "completed") end,
      ["failed"] = function(job) w:finish(job, "failed") end,
      ["cancelled while it ran"] = function(job)
        db:query("select jobq.cancel($1)", job.id)
        w:finish(job, "cancelled")
      end,
      ["cancelled after a retry"] = function(job)
        w:finish(job, "retry", { delay_ms = 3600000 })
        db:query("select jobq.cancel($1)", job.id)
      end,
      ["completed in its own transaction"] = function(job)
        w:ask("complete", w.id, job.seq, job.slot, 1, nil)
      end,
      ["failed at the third crash"] = function(job)
        for n = 1, 3 do
          protocol.bury(db, w)
          w = protocol.worker(db, { kinds = { "a" } })
          db:query "update jobq.ready set run_at = now()"
          if n < 3 then
            w:claim_one()
          end
        end
        protocol.bury(db, w)
        w = protocol.worker(db, { kinds = { "a" } })
        db:query "update jobq.ready set run_at = now()"
        if db:job(job.id).status == "pending" then
          w:claim_one()
          protocol.bury(db, w)
        end
      end,
    }
    for name, ending in pairs(endings) do
      it("in the moment its job has " .. name, function()
        local id = put("{}", '"unique_key": "k", "max_attempts": 20')
        ending(w:claim_one())
        assert.not_equal("pending", db:job(id).status)
        assert.equal(0, keys())
        assert.not_equal(id, put())
      end)
    end

    local expiries = {
      ["swept"] = function() db:query "select jobq.expire()" end,
      ["found so by its worker"] = function()
        w:finish(w:claim_one(), "cancelled", { ran_us = 0, error = "expired" })
      end,
    }
    for way, expire in pairs(expiries) do
      it("in the moment its job has expired, " .. way .. ", also for its follower", function()
        local id = put("{}", '"unique_key": "k", "expires_in": "1 microsecond"')
        expire()
        assert.equal("expired", db:job(id).error)
        assert.equal(0, keys())
        id = put()
        local holder = w:claim_one()
        local follower = put("{}", with("follow", '"expires_in": "1 microsecond"'))
        db:query "select jobq.expire()" -- the parked one
        assert.same({ "cancelled", "expired" }, { db:job(follower).status, db:job(follower).error })
        assert.equal(1, keys())
        local next_one = put("{}", with "follow")
        w:finish(holder, "completed")
        assert.same({ holder.id, next_one }, { id, w:claim_one().id })
      end)
    end

    it("not before, whatever its job waits for", function()
      local id = put()
      for _, word in ipairs { "retry", "snooze", "return", "suspect" } do
        w:finish(w:claim_one(), word)
        assert.same({ id, "kept" }, { put() })
      end
    end)
  end)

  describe("made of fields", function()
    local FIELDS = '"unique_fields": ["to", "n"]'

    it("is the same for the same values, in any order", function()
      local id = put('{"to": "ann", "n": 1, "x": 1}', FIELDS)
      assert.same({ id, "kept" },
        { put('{"x": 2, "n": 1, "to": "ann"}', '"unique_fields": ["n", "to"]') })
      assert.not_equal(id, (put('{"to": "ann", "n": 2}', FIELDS)))
      assert.not_equal(id, (put('{"to": "1", "n": "ann"}', FIELDS)))
    end)

    it("says so in words", function()
      local conn <close> = db:connect()
      local sql = [[
        select jobq.enqueue('a', '{"to": "ann", "n": null}', unique_fields => '{to,n}') as id]]
      local id = conn:query(sql)[1].id
      assert.equal(id, conn:query(sql)[1].id)
      assert.matches(("job %d already has the same to, n"):format(id), conn:notices()[1], 1, true)
    end)

    it("needs them", function()
      local _, message, _, _, hint = db:try [[
        select jobq.enqueue('a', '{"x": 1, "n": 1}', unique_fields => '{to}')]]
      assert.equal('unique_fields: arguments of "a" have no field "to"', message)
      assert.equal("they have n, x", hint)
    end)

    it("gives each of many its own", function()
      local rows = db:query [[
        select id, happened from jobq.enqueue_many_with('a',
          '{"{\"n\": 2}", "{\"n\": 1}", "{\"n\": 2}", "{\"n\": 3}"}'::jsonb[],
          '{"unique_fields": ["n"]}')]]
      assert.same({ "enqueued", "enqueued", "kept", "enqueued" },
        { rows[1].happened, rows[2].happened, rows[3].happened, rows[4].happened })
      assert.equal(rows[1].id, rows[3].id)
      assert.equal('{"n": 1}', args_of(rows[2].id))
      assert.equal(3, db:value "select count(*) from jobq.ready")
      local _, message = db:try [[
        select jobq.enqueue_many('a', '{"{\"n\": 2}", "{}"}'::jsonb[], unique_fields => '{n}')]]
      assert.equal('unique_fields: arguments number 2 of "a" have no field "n"', message)
      _, message = db:try [[
        select jobq.enqueue_many('a', '{"{\"n\": 2}", "[]"}'::jsonb[], unique_fields => '{n}')]]
      assert.equal('arguments number 2 of "a" are [], expected a JSON object', message)
    end)
  end)

  describe("for a time", function()
    it("is held until the job has ended, too, if that is said", function()
      local options = '"unique_key": "k", "unique_for": "1 hour", "unique_until": "finished"'
      local id = put("{}", options)
      w:finish(w:claim_one(), "completed")
      assert.same({ id, "kept" }, { put("{}", options) })
      db:query "update jobq.unique_key set until = now()"
      local second = put("{}", options)
      assert.not_equal(id, second)
      db:query "update jobq.unique_key set until = now()"
      assert.same({ second, "kept" }, { put("{}", options) })
      w:finish(w:claim_one(), "completed")
      assert.equal(0, keys())
    end)

    it("ends with the slot of the clock, aligned", function()
      put("{}", '"unique_key": "k", "unique_for": "15 minutes", "unique_aligned": true')
      assert.is_true(db:value [[select until > now() and until <= now() + interval '15 minutes'
        and extract(epoch from until)::bigint % 900 = 0 from jobq.unique_key]])
      assert.is_true(db:value [[
        select extract(isodow from jobq.period_end('1 week', true) at time zone 'UTC') = 1]])
    end)

    it("keeps one that does not wait any more", function()
      local options = with("replace", '"unique_for": "1 hour"')
      local id = put('{"n": 1}', options)
      assert.same({ id, "replaced" }, { put('{"n": 2}', options) })
      local job = w:claim_one()
      assert.same({ id, "kept" }, { put('{"n": 3}', options) })
      w:finish(job, "completed")
      assert.same({ id, "kept" }, { put('{"n": 4}', options) })
      assert.equal('{"n": 2}', args_of(id))
    end)
  end)

  describe("until it starts", function()
    local UNTIL = '"unique_key": "k", "unique_until": "start"'

    it("is free when it is claimed, and is not taken back", function()
      local id = put("{}", UNTIL)
      assert.same({ id, "kept" }, { put("{}", UNTIL) })
      local job = w:claim_one()
      assert.equal(0, keys())
      local second, happened = put("{}", UNTIL)
      assert.equal("enqueued", happened)
      w:finish(job, "retry")
      assert.same({ second, "kept" }, { put("{}", UNTIL) })
      db:query("select jobq.cancel($1)", id)
      assert.same({ second, "kept" }, { put("{}", UNTIL) })
    end)

    it("is of many that are claimed at once", function()
      for n = 1, 50 do
        put("{}", ('"unique_key": "%d", "unique_until": "%s"'):format(
          n, n % 2 == 0 and "start" or "finished"))
        put()
      end
      assert.equal(51, #w:claim(100, { size = 7 }))
      assert.equal(26, keys())
    end)

    it("and for a time, is free when both are over", function()
      put("{}", UNTIL .. ', "unique_for": "1 hour"')
      w:finish(w:claim_one(), "completed")
      assert.same({ { held = false } }, db:query "select held from jobq.unique_key")
    end)

    it("is taken again by a retry by hand", function()
      local id = put("{}", UNTIL)
      w:finish(w:claim_one(), "failed")
      local second = put("{}", UNTIL)
      local _, message = db:try("select jobq.retry($1)", id)
      assert.equal(
        ('job %d cannot wait again: job %d holds its unique_key "k"'):format(id, second), message)
      w:finish(w:claim_one(), "completed")
      db:query("select jobq.retry($1)", id)
      assert.same({ id, "kept" }, { put("{}", UNTIL) })
    end)
  end)

  describe("until it succeeds", function()
    local UNTIL = '"unique_key": "k", "unique_until": "succeeded"'
    local id

    before_each(function()
      id = put('{"n": 1}', UNTIL)
      w:finish(w:claim_one(), "failed")
    end)

    it("is still held by a job that failed, which can be retried", function()
      assert.same({ id, "kept" }, { put("{}", UNTIL) })
      assert.is_true(db:value("select jobq.retry($1)", id))
      w:finish(w:claim_one(), "completed")
      assert.equal(0, keys())
    end)

    it("is taken over by who says more than keep", function()
      local second, happened = put('{"n": 2}', UNTIL .. ', "on_conflict": "replace"')
      assert.same({ "enqueued", true }, { happened, second ~= id })
      local _, message = db:try("select jobq.retry($1)", id)
      assert.matches("cannot wait again", message)
    end)

    it("is not taken over from a job that somebody retries", function()
      local conn = db:connect()
      db:query "begin"
      db:query("select jobq.retry($1)", id)
      assert(conn:send(PUT, '{"n": 2}', UNTIL .. ', "on_conflict": "replace"'))
      protocol.wait_until_blocked(db, { conn = conn })
      db:query "commit"
      assert.same({ { id = id, happened = "replaced" } }, conn:result())
    end)

    it("is released by a cancel and by deleting", function()
      db:query "select jobq.forget('0')"
      assert.equal(0, keys())
      put("{}", UNTIL)
      w:finish(w:claim_one(), "failed")
      db:query "select * from jobq.delete_finished(now() + interval '1 s')"
      assert.equal(0, keys())
      local third = put("{}", UNTIL)
      db:query("select jobq.cancel($1)", third)
      assert.equal(0, keys())
    end)

    it("goes to a follower that came before it failed", function()
      db:query("select jobq.retry($1)", id)
      local job = w:claim_one()
      local second, happened = put('{"n": 2}', UNTIL .. ', "on_conflict": "follow"')
      assert.equal("followed", happened)
      w:finish(job, "failed")
      assert.is_nil(parked(second))
      assert.equal(second, w:claim_one().id)
    end)
  end)

  describe("of a job that waits: a newer one", function()
    it("replaces its arguments, and what else is given", function()
      local id = put('{"n": 1}', '"unique_key": "k", "delay": "1 hour"')
      assert.same({ id, "replaced" }, { put('{"n": 2}', with("replace", '"priority": 1')) })
      assert.same({ '{"n": 2}', 1 }, { args_of(id), db:job(id).priority })
      assert.is_true(db:value("select run_at > now() + interval '59 min' from jobq.find($1)", id))
      put('{"n": 3}', with("replace", '"delay": 0'))
      assert.equal(id, w:claim_one().id)
    end)

    it("puts it off, but not for ever", function()
      local function pass_4_minutes()
        db:query [[update jobq.ready
          set created_at = created_at - interval '4 min', run_at = run_at - interval '4 min']]
      end
      local options = with("debounce", '"delay": "10 min", "max_wait": "15 min"')
      local id = put('{"n": 1}', options)
      pass_4_minutes()
      assert.same({ id, "debounced" }, { put('{"n": 2}', options) })
      local function left()
        return db:value(
          "select round(extract(epoch from run_at - now()) / 60)::int from jobq.find($1)", id)
      end
      assert.same({ 10, '{"n": 2}' }, { left(), args_of(id) })
      pass_4_minutes()
      put('{"n": 3}', options)
      assert.equal(7, left())
      pass_4_minutes()
      put('{"n": 4}', options)
      assert.same({ 3, '{"n": 4}' }, { left(), args_of(id) })
    end)

    it("appends to its arrays", function()
      local options = '"unique_fields": ["to"], "on_conflict": "append"'
      local id = put('{"to": ["ann"], "lines": [1], "n": 1}', options)
      assert.same({ id, "appended" },
        { put('{"to": ["ann"], "lines": [2, 3], "n": 2, "new": []}', options) })
      assert.is_true(db:value([[
        select args::jsonb = '{"to": ["ann"], "lines": [1, 2, 3], "n": 2, "new": []}'
        from jobq.find($1)]], id))
    end)

    it("does not append more than fits", function()
      local id = put('{"l": ["and so on"]}', with "append")
      local _, message = db:try [[
        select jobq.enqueue('a', jsonb_build_object('l', array[repeat('x', 1048560)]),
          unique_key => 'k', on_conflict => 'append')]]
      assert.matches(("arguments of job %d would take %%d+ bytes with what is appended, the limit")
        :format(id), message)
    end)

    it("supersedes it", function()
      local id = put('{"n": 1}')
      local second, happened = put('{"n": 2}', with "supersede")
      assert.equal("superseded", happened)
      assert.same({ "cancelled", "superseded by job " .. second },
        { db:job(id).status, db:job(id).error })
      assert.equal(second, w:claim_one().id)
    end)
  end)

  describe("of a job that runs: a newer one", function()
    local ways = {
      follow = { "followed", "replaced" }, replace = { "followed", "replaced" },
      append = { "followed", "appended" }, debounce = { "followed", "debounced" },
      supersede = { "superseded", "superseded" },
    }
    for way, words in pairs(ways) do
      it("waits for its end, with " .. way, function()
        local options = with(way, way == "debounce" and '"delay": 0')
        local id = put()
        local job = w:claim_one()
        local second, happened = put('{"l": [1]}', options)
        assert.same({ words[1], "unique" }, { happened, parked(second) })
        assert.same({}, w:claim())
        local third
        third, happened = put('{"l": [2]}', options)
        assert.same({ second, words[2] }, { third, happened })
        assert.equal(way == "append" and '{"l": [1, 2]}' or '{"l": [2]}', args_of(second))
        assert.same({ id, "kept" }, { put() })
        assert.equal(way == "supersede" and 1 or 0,
          db:value("select count(*) from jobq.cancel_request where job_id = $1", id))
        w:finish(job, "retry")
        if way == "supersede" then
          assert.equal("superseded by job " .. second, db:job(id).error)
        else
          w:finish(w:claim_one(), "completed")
        end
        assert.equal(second, w:claim_one().id)
        assert.same({ second, "kept" }, { put() })
      end)
    end

    it("follows one that waits between its steps, too", function()
      local id = put('{"n": 1}')
      db:query("insert into jobq.step (job_id, what, name) values ($1, 'step', 'first')", id)
      local second, happened = put('{"n": 2}', with "replace")
      assert.same({ "followed", '{"n": 1}' }, { happened, args_of(id) })
      w:finish(w:claim_one(), "completed")
      assert.equal(second, w:claim_one().id)
    end)

    it("waits for its limit after that", function()
      db:query "select jobq.set_limit('one', kind => 'a', concurrency => 1)"
      put()
      local function next_job()
        local job
        protocol.wait_until("the limit lets a job start", function()
          db:query "select jobq.advance()"
          job = w:claim()[1]
          return job
        end)
        return job
      end
      local job = next_job()
      local second = put("{}", with "follow")
      db:query "select jobq.advance()"
      assert.equal("unique", parked(second))
      w:finish(job, "completed")
      assert.equal("limit", parked(second))
      assert.equal(second, next_job().id)
    end)

    it("says what it waits for", function()
      local id = put()
      w:claim_one()
      local second = put("{}", with "follow")
      local why = db:row("select code, words from jobq.why($1)", second)
      assert.same({
        code = "unique", words = ('it follows job %d, which holds its unique key "k"'):format(id),
      }, why)
    end)

    it("can be cancelled", function()
      put()
      local job = w:claim_one()
      local second = put("{}", with "follow")
      db:query("select jobq.cancel($1)", second)
      assert.equal(1, keys())
      local third, happened = put("{}", with "follow")
      assert.equal("followed", happened)
      w:finish(job, "completed")
      assert.equal(third, w:claim_one().id)
    end)

    it("comes after a retry by hand that was quicker", function()
      local id = put()
      w:finish(w:claim_one(), "failed")
      db:query("select jobq.retry($1)", id)
      local job = w:claim_one()
      local second = put("{}", with "follow")
      w:finish(job, "failed")
      assert.equal(second, w:claim_one().id)
      local _, message = db:try("select jobq.retry($1)", id)
      assert.matches("cannot wait again", message)
    end)
  end)

  describe("refuses", function()
    local cases = {
      { "unique_until => 'start'", 'unique_until "start" has no unique_key to hold' },
      { "on_conflict => 'keep'", 'on_conflict "keep" has no unique_key to hold' },
      { "max_wait => '1 s'", "max_wait 00:00:01 has no unique_key to hold" },
      { "unique_aligned => true", "unique_aligned true has no unique_key to hold" },
      { "unique_key => 'k', unique_fields => '{n}'",
        'unique_key "k" and unique_fields {n}: expected one of them' },
      { "unique_fields => '{}'", "unique_fields {}, expected a plain array of 1 to 50 names" },
      { "unique_fields => '{{n}}'",
        "unique_fields {{n}}, expected a plain array of 1 to 50 names" },
      { "unique_fields => '{n,null}'", "unique_fields {n,NULL}, expected no null" },
      { "unique_key => 'k', unique_until => 'end'",
        'unique_until "end" is unknown, expected start, finished or succeeded' },
      { "unique_key => 'k', on_conflict => 'drop'",
        'on_conflict "drop" is unknown, expected keep, replace, debounce, append, follow, super' },
      { "unique_key => 'k', unique_aligned => true", "unique_aligned has no unique_for to align" },
      { "unique_key => 'k', unique_for => '1 month', unique_aligned => true",
        "unique_for 1 mon cannot be aligned, expected weeks, days, hours, minutes or seconds" },
      { "unique_key => 'k', unique_for => '1 h', on_conflict => 'follow'",
        'on_conflict "follow" cannot go with unique_for 01:00:00: in that time one job begins' },
      { "unique_key => 'k', on_conflict => 'debounce'",
        'on_conflict "debounce" has neither delay nor run_at' },
      { "unique_key => 'k', max_wait => '1 s'",
        'max_wait 00:00:01 is only for on_conflict "debounce"' },
      { "unique_key => 'k', on_conflict => 'debounce', delay => '1 s', max_wait => '0'",
        "max_wait 00:00:00 is out of range, expected more than 0" },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local rows, message, sqlstate = db:try(
          ([[select jobq.enqueue('a', '{"n": 1}', %s)]]):format(case[1]))
        assert.is_nil(rows)
        assert.matches(case[2], message, 1, true)
        assert.equal("22023", sqlstate)
      end)
    end
  end)
end)
