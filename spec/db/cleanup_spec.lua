local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("cleaning up", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function days(parent)
    return db:value([[select count(*) from pg_inherits where inhparent = ('jobq.' || $1)::regclass
      and inhrelid::regclass::text ~ '_\d{8}$']], parent)
  end

  local function finish(word)
    db:enqueue { "a" }
    local job = w:claim_one()
    w:finish(job, word)
    return job.id
  end

  -- A day that is over, with one completed job in it.
  local function past_day(days_ago)
    db:query(([[set timezone = 'UTC';
      do $$
      declare
        day date := current_date - %d;
        name text := 'finished_completed_' || to_char(day, 'YYYYMMDD');
      begin
        execute format('create table jobq.%%I partition of jobq.finished_completed
          for values from (%%L) to (%%L)', name, day, day + 1);
        insert into jobq.finished (id, created_at, run_at, started_at, finished_at, lane_id,
            kind_id, status, priority, attempt, args)
          values (-%d, now(), now(), now(), day, 1, 1, 'completed', 5, 1, '{}');
      end $$]]):format(days_ago, days_ago))
  end

  it("has made today and a week ahead, by UTC", function()
    for _, parent in ipairs { "finished_completed", "attempt", "job_log" } do
      assert.equal(8, days(parent))
    end
    assert.is_true(db:value [[select to_regclass('jobq.finished_completed_'
      || to_char((now() + interval '7 days') at time zone 'UTC', 'YYYYMMDD')) is not null]])
    finish "completed"
    assert.equal(0, db:value "select count(*) from jobq.finished_completed_default")
  end)

  it("sweeps what jobs that have ended told of their progress", function()
    db:enqueue { "a" }
    db:enqueue { "a" }
    local jobs = w:claim(2)
    for _, job in ipairs(jobs) do
      w:ask("write_progress", w.id, { job.seq }, { job.slot }, { 0.5 }, { 0 }, { "" })
    end
    w:finish(jobs[1], "completed")
    db:query "select jobq.cleanup()"
    assert.equal(jobs[2].slot, db:value "select slot from jobq.progress")
  end)

  it("makes the same days in any time zone", function()
    db:query "set timezone = 'Pacific/Kiritimati'"
    db:query "select jobq.make_days(9)"
    db:query "set timezone = 'Pacific/Pago_Pago'"
    db:query "select jobq.make_days(9)"
    assert.equal(10, days "finished_completed")
    db:query "set timezone = 'UTC'"
    assert.equal(10, db:value [[
      select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'jobq.finished_completed'::regclass
        and pg_get_expr(c.relpartbound, c.oid) like '%(''% 00:00:00+00'') TO %00:00:00+00'')']])
    assert.equal(0, db:value "select jobq.make_days(9)")
  end)

  it("moves what fell beside the days when they are made late", function()
    db:query [[do $$ declare day regclass; begin
      for day in select inhrelid::regclass from pg_inherits
        where inhparent = 'jobq.finished_completed'::regclass and inhrelid::regclass::text ~ '\d$'
      loop execute 'drop table ' || day; end loop; end $$]]
    local id = finish "completed"
    assert.equal(1, db:value "select count(*) from jobq.finished_completed_default")
    assert.equal(8, db:value "select jobq.make_days()")
    assert.equal(0, db:value "select count(*) from jobq.finished_completed_default")
    assert.equal("completed", db:job(id).status)
  end)

  it("drops completed jobs by the day when they are past their time", function()
    past_day(9)
    past_day(6)
    assert.equal(10, days "finished_completed")
    assert.equal(1, db:value "select jobq.cleanup()")
    assert.equal(9, days "finished_completed")
    assert.equal(1, db:value "select jobq.cleanup(keep => '2 days')")
    assert.equal(8, days "finished_completed")
  end)

  it("refuses to keep less than nothing", function()
    local _, message = db:try "select jobq.cleanup(keep => '-1 day')"
    assert.equal("keep -1 days is negative", message)
  end)

  it("keeps failed and cancelled jobs longer, and forgets them in batches", function()
    for _ = 1, 3 do
      finish "failed"
    end
    local cancelled = finish "cancelled"
    db:query "select jobq.cleanup(keep => '0')"
    assert.equal("cancelled", db:job(cancelled).status)
    db:query "update jobq.finished set finished_at = now() - interval '91 days'"
    assert.equal(2, db:value "select jobq.forget(at_most => 2)")
    db:query "select jobq.cleanup()"
    assert.equal(0, db:value "select count(*) from jobq.finished")
  end)

  it("leaves a failed job alone that somebody retries just now", function()
    local id = finish "failed"
    db:query "update jobq.finished set finished_at = now() - interval '91 days'"
    local person = db:connect()
    assert(person:query "begin")
    assert(person:query("select jobq.retry($1)", id))
    assert.equal(0, db:value "select jobq.forget()")
    assert(person:query "commit")
    assert.equal("pending", db:job(id).status)
  end)

  it("deletes in batches what finished before a time, but for what is just retried", function()
    local first, second = finish "completed", finish "failed"
    local third = finish "failed"
    db:query "update jobq.finished set finished_at = now() - interval '2 days' where id > 1"
    local person = db:connect()
    assert(person:query "begin")
    assert(person:query("select jobq.retry($1)", second))
    local delete = [[select deleted, last_id from jobq.delete_finished(now() - interval '1 day',
      after_id => $1, at_most => 1)]]
    assert.same({ deleted = 1, last_id = third }, db:row(delete, 0))
    assert.same({ deleted = 0 }, db:row(delete, third))
    assert(person:query "commit")
    assert.equal("pending", db:job(second).status)
    assert.equal(first, db:value "select id from jobq.finished")
  end)

  it("sweeps keys, sleepers, wishes and workers that are over", function()
    local id = finish "completed"
    db:query "select jobq.enqueue('a', unique_key => 'k', unique_for => '1 ms')"
    db:query("insert into jobq.cancel_request values ($1, now() - interval '2 hours')", id)
    db:query "insert into jobq.sleeper values (1, 999)"
    local old = protocol.worker(db, { kinds = { "a" } })
    old:ask("stop", old.id)
    db:query("update jobq.worker set seen_at = now() - interval '91 days' where id = $1", old.id)
    w:ask "tend"
    assert.same({ keys = 0, sleepers = 0, wishes = 0, workers = 1 }, db:row [[select
      (select count(*) from jobq.unique_key) as keys,
      (select count(*) from jobq.sleeper) as sleepers,
      (select count(*) from jobq.cancel_request) as wishes,
      (select count(*) from jobq.worker) as workers]])
  end)

  it("is done by one at a time, and the other does not wait", function()
    db:query "begin"
    db:query "select jobq.cleanup()"
    w:sql "set statement_timeout = '5s'"
    w:ask "tend"
    db:query "commit"
  end)

  describe("while somebody reads in an open transaction", function()
    local reader

    before_each(function()
      reader = db:connect()
    end)

    -- One reads the day that is over, the other only its parent and today.
    for what, sql in pairs {
      ["the day"] = "select count(*) from jobq.job",
      ["the parent"] = "select count(*) from jobq.finished_completed where finished_at >= 'TODAY'",
    } do
      it("gives up on " .. what .. ", claims and settling go on meanwhile", function()
        past_day(9)
        local jobs = {}
        for i = 1, 3 do
          db:enqueue { "a" }
          jobs[i] = w:claim_one()
        end
        assert(reader:query "begin")
        local today = db:value "select ((now() at time zone 'UTC')::date)::text || ' 00:00:00+00'"
        assert(reader:query((sql:gsub("TODAY", today))))
        local tender = protocol.session(db)
        tender:send "tend"
        protocol.wait_until_blocked(db, tender)
        w:sql "set statement_timeout = '3s'"
        for i = 1, 3 do
          assert.equal(0, w:finish(jobs[i], "completed"))
          db:enqueue { "a" }
          assert.equal(0, w:finish(w:claim_one(), "completed"))
        end
        assert.equal(0, tender:result()[1].dropped)
        assert.equal(9, days "finished_completed")
        assert(reader:query "commit")
        assert.equal(1, tender:ask("tend")[1].dropped)
      end)
    end

    it("makes new days only when it can, and says how many", function()
      assert(reader:query "begin")
      assert(reader:query "select count(*) from jobq.job")
      assert(reader:query "select count(*) from jobq.log")
      assert(reader:query "select count(*) from jobq.attempts(1)")
      db:enqueue { "a" }
      local job = w:claim_one()
      assert.equal(0, db:value "select jobq.make_days(8)")
      assert.equal(0, w:finish(job, "completed"))
      assert(reader:query "commit")
      assert.equal(3, db:value "select jobq.make_days(8)")
    end)
  end)
end)
