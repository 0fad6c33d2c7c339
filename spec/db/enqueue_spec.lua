local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("enqueue", function()
  local db

  before_each(function()
    db = postgres.database()
  end)

  it("adds a job with defaults", function()
    local id = db:enqueue { "email.send" }
    local job = db:job(id)
    assert.same({ "email.send", "default", "pending", 5, 0, 3, "{}" },
      { job.kind, job.queue, job.status, job.priority, job.attempt, job.max_attempts, job.args })
    assert.same({}, job.tags)
    assert.is_nil(job.started_at)
    assert.is_true(db:value("select run_at = created_at from jobq.find($1)", id))
  end)

  it("takes every option", function()
    local id = db:enqueue {
      "email.send", args = '{"to": "ann"}', queue = "mail", priority = 0, delay = "1 hour",
      max_attempts = 7, timeout = "90 s", unique_key = "ann", tags = { "a b", 'q"q' },
      run_at = "2030-01-01 00:00:00+00",
    }
    local job = db:job(id)
    assert.same({ "mail", 0, 7, '{"to": "ann"}' },
      { job.queue, job.priority, job.max_attempts, job.args })
    assert.same({ "a b", 'q"q' }, job.tags)
    assert.is_true(db:value("select run_at = '2030-01-01 01:00:00+00' from jobq.find($1)", id))
    assert.equal(90.0, db:value("select (meta ->> 'timeout')::float8 from jobq.find($1)", id))
  end)

  it("keeps integers to the last digit, and any text as it is", function()
    local args = [[{"max": 9223372036854775807, "min": -9223372036854775808, "s": "\"\\\u00e9😀"}]]
    local id = db:enqueue { "a", args = args }
    assert.is_true(db:value("select args::jsonb = $2::jsonb from jobq.find($1)", id, args))
    assert.equal("9223372036854775807", db:value("select args ->> 'max' from jobq.find($1)", id))
  end)

  it("takes any names of people", function()
    local name = [['; drop table jobq.ready; -- "ü" 漢字 %s $1 \]]
    local id = db:enqueue { name, queue = name, tags = { name }, unique_key = name }
    local job = db:job(id)
    assert.equal(name, job.kind)
    assert.equal(name, job.queue)
    assert.same({ name }, job.tags)
    assert.equal(id, db:enqueue { name, queue = name, unique_key = name })
  end)

  it("is undone with the caller's transaction", function()
    db:query "begin"
    local id = db:enqueue { "a", unique_key = "k" }
    db:query "rollback"
    assert.is_nil(db:job(id))
    assert.not_equal(id, db:enqueue { "a", unique_key = "k" })
  end)

  it("knows a queue that is there, and a kind that is not", function()
    db:enqueue { "old", queue = "mail" }
    assert.equal("mail", db:job(db:enqueue { "new", queue = "mail" }).queue)
    protocol.worker(db, { kinds = { { "known", queue = "mail" } } })
    assert.equal("newer", db:job(db:enqueue { "newer", queue = "mail" }).kind)
  end)

  it("works for two callers who meet a new kind at once", function()
    local other = db:connect()
    db:query "begin"
    local first = db:enqueue { "new.kind" }
    assert(other:send "select jobq.enqueue('new.kind') as id")
    db:query "commit"
    local second = other:result()[1].id
    assert.equal(db:job(first).kind, db:job(second).kind)
    assert.equal(1, db:value "select count(*) from jobq.lane")
  end)

  it("works in serializable and repeatable read", function()
    for _, level in ipairs { "repeatable read", "serializable" } do
      db:query("begin isolation level " .. level)
      local id = db:enqueue { "a " .. level }
      db:query "commit"
      assert.equal("pending", db:job(id).status)
    end
  end)

  describe("with a unique key", function()
    it("answers the job that holds it, and says so", function()
      local id = db:enqueue { "a", unique_key = "k" }
      local conn = db:connect()
      local rows = conn:query "select jobq.enqueue('a', unique_key => 'k') as id"
      assert.equal(id, rows[1].id)
      assert.matches(('job %d already holds unique_key "k"'):format(id), conn:notices()[1], 1, true)
      assert.equal(1, db:value "select count(*) from jobq.ready")
    end)

    it("is per kind", function()
      assert.not_equal(db:enqueue { "a", unique_key = "k" }, db:enqueue { "b", unique_key = "k" })
    end)

    it("waits for another caller's transaction, and takes what that gives up", function()
      local other = db:connect()
      db:enqueue { "a" }
      db:query "begin"
      local first = db:enqueue { "a", unique_key = "k" }
      assert(other:send "select jobq.enqueue('a', unique_key => 'k') as id")
      db:query "rollback"
      assert.not_equal(first, other:result()[1].id)
      assert.equal(1, db:value "select count(*) from jobq.unique_key")
    end)

    it("never makes the worker wait that settles the key's job", function()
      local w = protocol.worker(db, { kinds = { "a" } })
      db:enqueue { "a", unique_key = "k" }
      local job = w:claim_one()
      db:query "begin"
      assert.equal(job.id, db:enqueue { "a", unique_key = "k" })
      w:sql "set lock_timeout = '2s'"
      assert.equal(0, w:finish(job, "completed"))
      db:query "commit"
    end)

    it("holds it for a time, whatever becomes of the job", function()
      local sql = "select jobq.enqueue('a', unique_key => 'k', unique_for => '1 hour') as id"
      local id = db:value(sql)
      assert.equal("cancelled", db:value("select jobq.cancel($1)", id))
      assert.equal(id, db:value(sql))
      db:query "update jobq.unique_key set until = now()"
      assert.not_equal(id, db:value(sql))
    end)
  end)

  describe("of many", function()
    it("answers ids in the order of the arguments", function()
      local rows = db:query [[
        select jobq.enqueue_many('a',
          array(select jsonb_build_object('i', i) from generate_series(1, 500) i)) as id]]
      assert.equal(500, #rows)
      assert.equal(500, db:value([[
        select count(*) from unnest($1::bigint[]) with ordinality t (id, o)
        join jobq.job j on j.id = t.id and (j.args ->> 'i')::bigint = t.o]], protocol.ids(rows)))
    end)

    it("gives all of them the same options", function()
      db:query [[select jobq.enqueue_many('a', array['{}', null]::jsonb[], queue => 'q',
        priority => 1, delay => '1 hour', max_attempts => 2, timeout => '5 s', tags => array['t'])]]
      assert.equal(2, db:value [[select count(*) from jobq.job
        where queue = 'q' and priority = 1 and max_attempts = 2 and tags = '{t}'
          and args::text = '{}' and run_at = created_at + interval '1 hour']])
    end)

    it("is none for no arguments", function()
      assert.same({}, db:query "select jobq.enqueue_many('a', '{}')")
      assert.same({}, db:query "select jobq.enqueue_many('a', null)")
    end)

    it("takes a unique key for one", function()
      local sql = "select jobq.enqueue_many('a', array['{}']::jsonb[], unique_key => 'k') as id"
      assert.equal(db:value(sql), db:value(sql))
    end)

    it("names the argument that is wrong", function()
      local _, message = db:try "select jobq.enqueue_many('a', array['{}', '[]']::jsonb[])"
      assert.equal('arguments number 2 of "a" are [], expected a JSON object', message)
    end)
  end)

  describe("refuses", function()
    local long, shown = ("x"):rep(101), ("x"):rep(60)
    local cases = {
      { "kind => null", "kind null has 0 characters, expected 1 to 100" },
      { "kind => ''", 'kind "" has 0 characters, expected 1 to 100' },
      { "kind => '" .. long .. "'", 'kind "' .. shown .. '..." has 101 characters, expected 1' },
      { "'a', queue => ''", 'queue "" has 0 characters, expected 1 to 100' },
      { "'a', queue => '" .. long .. "'", 'queue "' .. shown .. '..." has 101 characters' },
      { "'a', priority => 10", "priority 10 is out of range, expected 0 (soonest) to 9" },
      { "'a', priority => -1", "priority -1 is out of range" },
      { "'a', delay => '-1 s'", "delay -00:00:01 is negative" },
      { "'a', run_at => 'infinity'", "run_at infinity is not a point in time" },
      { "'a', run_at => '-infinity'", "run_at -infinity is not a point in time" },
      { "'a', max_attempts => 0", "max_attempts 0 is out of range, expected 1 to 1000" },
      { "'a', max_attempts => 2000000000", "max_attempts 2000000000 is out of range" },
      { "'a', timeout => '0'", "timeout 00:00:00 is out of range" },
      { "'a', timeout => '10 years'", "timeout 10 years is out of range" },
      { "'a', unique_key => ''", 'unique_key "" has 0 characters, expected 1 to 500' },
      { "'a', unique_key => repeat('x', 501)", "has 501 characters, expected 1 to 500" },
      { "'a', unique_key => 'k', unique_for => '0'", "unique_for 00:00:00 is out of range" },
      { "'a', unique_for => '1 h'", "unique_for 01:00:00 has no unique_key to hold" },
      { "'a', tags => array['ok', '']", 'tag "" has 0 characters, expected 1 to 100' },
      { "'a', tags => array[null]::text[]", "tag null has 0 characters" },
      { "'a', tags => array_fill('t'::text, array[51])", "tags has 51 elements" },
      { "'a', '[1, 2]'", 'arguments of "a" are [1, 2], expected a JSON object' },
      { "'a', '\"text\"'", 'arguments of "a" are "text", expected a JSON object' },
      { "'a', 'null'", 'arguments of "a" are null, expected a JSON object' },
      { "'a', jsonb_build_object('x', repeat('x', 1048576))",
        'arguments of "a" take 1048585 bytes, the limit is 1048576' },
    }
    for _, case in ipairs(cases) do
      it(#case[1] < 60 and case[1] or case[1]:sub(1, 20) .. "...", function()
        local rows, message = db:try("select jobq.enqueue(" .. case[1] .. ")")
        assert.is_nil(rows)
        assert.matches(case[2], message, 1, true)
        assert.equal(0, db:value "select count(*) from jobq.kind")
      end)
    end

    it("one key for many jobs", function()
      local _, message = db:try
        "select jobq.enqueue_many('a', array['{}', '{}']::jsonb[], unique_key => 'k')"
      assert.equal('unique_key "k" cannot be held by 2 jobs', message)
    end)
  end)

  it("takes what is just within the limits", function()
    local id = db:value([[select jobq.enqueue($1, jsonb_build_object('x', repeat('x', 1048576 - 9)),
      queue => $1, priority => 9, max_attempts => 1000, unique_key => repeat('k', 500),
      tags => array[$1])]], ("ü"):rep(100))
    assert.equal(1048576, db:value("select octet_length(args::text) from jobq.find($1)", id))
  end)
end)
