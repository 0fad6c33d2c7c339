--- Unique keys in transactions that stay open, and under many callers at once.
local postgres = require "support.postgres"
local protocol = require "db.protocol"

local CALLERS, TIMES = 64, 12
local PUT = "select * from jobq.enqueue_with('a', $1::jsonb, ('{' || $2 || '}')::jsonb)"

describe("a unique key, many at it,", function()
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

  local function parked(id)
    return db:value("select why from jobq.parked where job_id = $1", id)
  end

  local function advance()
    return db:value "select jobq.advance()"
  end

  -- Each of these lost the follower, or made a worker wait, without the step that it is about.
  describe("in an open transaction:", function()
    local other, id, job

    before_each(function()
      other = db:connect()
      id = put()
      job = w:claim_one()
    end)

    local function is_promoted(follower)
      assert.is_nil(advance())
      assert.equal(0, db:value "select count(*) from jobq.unique_check")
      assert.equal(follower, w:claim_one().id)
    end

    it("a follower that is committed after the holder's end", function()
      other:query "begin"
      local second = put_by(other, "{}", with "follow")
      w:finish(job, "completed")
      assert.is_nil(advance())
      other:query "commit"
      is_promoted(second)
    end)

    it("a follower that is being changed meanwhile, then it or not", function()
      for _, ending in ipairs { "commit", "rollback" } do
        local second = put("{}", with "follow")
        other:query "begin"
        assert.equal(second, (put_by(other, '{"n": 2}', with "follow")))
        w:finish(job, "completed")
        assert.is_true(advance() > 0)
        other:query(ending)
        assert.is_nil(advance())
        job = w:claim_one()
        assert.equal(second, job.id)
        assert.equal(ending == "commit" and '{"n": 2}' or "{}", job.args)
        w:finish(job, "completed")
        put()
        job = w:claim_one()
      end
    end)

    it("a follower, and a holder that ends in its own transaction", function()
      other:query "begin"
      local second = put_by(other, "{}", with "follow")
      w:sql "begin"
      w:ask("complete", w.id, job.seq, job.slot, 1, nil)
      other:query "commit"
      assert.is_true(advance() > 0)
      w:sql "commit"
      is_promoted(second)
    end)

    it("a follower, and a holder that is cancelled with one snapshot", function()
      w:finish(job, "retry") -- it waits, but has done a step: what comes now follows it
      db:query("insert into jobq.step (job_id, what, name) values ($1, 'step', 'first')", id)
      other:query "begin isolation level repeatable read"
      other:query "select count(*) from jobq.ready"
      local second, happened = put("{}", with "follow")
      assert.equal("followed", happened)
      assert.is_nil(advance())
      assert.equal("cancelled", other:query("select jobq.cancel($1) as status", id)[1].status)
      assert.is_nil(advance())
      other:query "commit"
      is_promoted(second)
    end)

    it("a follower, and somebody who takes the free key", function()
      other:query "begin"
      local second = put_by(other, "{}", with "follow")
      w:finish(job, "completed")
      local third = db:connect()
      third:query "begin"
      local holder, happened = put_by(third)
      assert.equal("enqueued", happened)
      other:query "commit"
      assert.is_true(advance() > 0)
      third:query "commit"
      assert.is_nil(advance())
      job = w:claim_one()
      assert.equal(holder, job.id)
      assert.equal("unique", parked(second))
      w:finish(job, "completed")
      assert.equal(second, w:claim_one().id)
    end)

    it("never makes the worker wait that ends or claims", function()
      for _, way in ipairs { "keep", "follow", "supersede", "append", "replace" } do
        other:query "begin"
        put_by(other, "{}", with(way))
        assert.equal(0, w:finish(job, "completed"))
        other:query "commit"
        advance()
        for _, left in ipairs(w:claim()) do
          w:finish(left, "completed")
        end
        put()
        job = w:claim_one()
      end
    end)

    it("holds a waiting job that it changes, and wakes who slept over that", function()
      w:finish(job, "completed")
      local second = put()
      other:query "begin"
      assert.equal(second, (put_by(other, '{"n": 2}', with "replace")))
      assert.same({}, w:claim())
      other:query "commit"
      job = w:claim_one()
      assert.equal('{"n": 2}', job.args)
    end)
  end)

  describe("under 64 callers at once", function()
    before_each(function()
      db:query "create table told (id bigint, happened text, n int)"
    end)

    -- Each makes the call again and again, a transaction each time.
    local function hammer(call)
      local conns = {}
      for i = 1, CALLERS do
        conns[i] = db:connect()
        assert(conns[i]:send(([[
          do $$
          begin
            for n in 1..%d loop
              %s
              commit;
            end loop;
          end $$]]):format(TIMES, (call:gsub("CALLER", i)))))
      end
      return conns
    end

    local function are_idle(conns)
      local pids = {}
      for i, conn in ipairs(conns) do
        pids[i] = conn:backend_pid()
      end
      return db:value([[select count(*) = 0 from pg_stat_activity
        where pid = any ($1::int[]) and state <> 'idle']], pids)
    end

    local function is_all_done()
      return db:value [[
        select count(*) = 0 from jobq.ready where run_at <= now() or run_at = 'infinity']]
    end

    -- Runs what there is, one after the other, until the callers are through; never two at a time.
    local function run_all(conns)
      local runs = 0
      protocol.wait_until("the callers end", function()
        local over = are_idle(conns)
        db:query "select jobq.advance()"
        local jobs = w:claim(10)
        assert.is_true(#jobs <= 1, "two jobs of one key ran at a time")
        if jobs[1] then
          assert.same({}, w:claim(10))
          runs = runs + 1
          w:finish(jobs[1], runs % 5 == 0 and "retry" or "completed")
        end
        return over and not jobs[1] and is_all_done()
      end)
      for _, conn in ipairs(conns) do
        assert(conn:result())
      end
      return runs
    end

    for _, way in ipairs { "keep", "follow", "supersede", "replace", "append", "debounce" } do
      it("one job is there at a time, and each is told of one that is there: " .. way, function()
        local runs = run_all(hammer(([[
          insert into told select e.id, e.happened, CALLER * 1000 + n
          from jobq.enqueue_with('a', jsonb_build_object('l', array[CALLER * 1000 + n]),
            '{"unique_key": "k", "max_attempts": 100, "on_conflict": "%s"%s}') e;]]):format(
          way, way == "debounce" and ', "delay": "1 ms"' or "")))
        assert.is_true(runs > 0)
        assert.equal(CALLERS * TIMES, db:value "select count(*) from told")
        assert.equal(0, db:value [[
          select count(*) from told t where not exists (select from jobq.find(t.id))]])
        assert.equal(0, db:value "select count(*) from jobq.unique_key")
        assert.equal(0, db:value "select count(*) from jobq.unique_check")
        if way == "append" then -- nothing is lost, nothing is there twice
          assert.equal(CALLERS * TIMES, db:value [[select count(distinct l) from jobq.finished f,
            jsonb_array_elements_text(f.args::jsonb -> 'l') l]])
          assert.equal(CALLERS * TIMES, db:value [[select count(*) from jobq.finished f,
            jsonb_array_elements_text(f.args::jsonb -> 'l') l]])
        elseif way ~= "keep" then -- every job has the arguments of somebody who was told of it
          assert.equal(0, db:value [[select count(*) from jobq.finished f where not exists (
            select from told t where t.id = f.id and t.n = (f.args::jsonb -> 'l' ->> 0)::int)]])
        end
      end)
    end

    it("callers of many with the same keys in different orders never deadlock", function()
      db:query [[create procedure many(way text) language plpgsql as $$
        begin
          insert into told select e.id, e.happened from jobq.enqueue_many_with('a',
            array(select jsonb_build_object('n', n, 'l', array[1])
              from generate_series(1, 6) n order by random()),
            jsonb_build_object('unique_fields', array['n'], 'on_conflict', way, 'delay', 3600)) e;
        end $$]]
      local conns = hammer([[
        call many(('{keep,replace,append,supersede}'::text[])[1 + floor(random() * 4)::int]);]])
      for _, conn in ipairs(conns) do
        assert(conn:result())
      end
      assert.equal(6, db:value "select count(*) from jobq.ready")
      assert.equal(CALLERS * TIMES * 6, db:value "select count(*) from told")
    end)
  end)
end)
