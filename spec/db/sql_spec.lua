--- jobq.sql against a real server, in runs of a plain lua5.4.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"
local postgres = require "support.postgres"

local sql = jobq.sql
local null = jobq.json.null

describe("jobq.sql", function()
  local db

  before_each(function()
    db = postgres.database()
    uv.os_setenv("JOBQ_DATABASE_DEFAULT", db.dsn)
    db:query "create table thing (id int primary key, name text)"
  end)

  after_each(function()
    for name in pairs(uv.os_environ()) do
      if name:find "^JOBQ_DATABASE_" then
        uv.os_unsetenv(name)
      end
    end
  end)

  --- f in a run; its results.
  local function run(f, seconds)
    return core.task.run(function() return f() end, seconds)
  end

  local function query(...)
    local args = table.pack(...)
    return run(function() return sql.query(table.unpack(args, 1, args.n)) end)
  end

  local function value(...)
    local args = table.pack(...)
    return run(function() return sql.value(table.unpack(args, 1, args.n)) end)
  end

  local function names()
    return db:value "select coalesce(string_agg(name, ' ' order by id), '') from thing"
  end

  --- Sessions of runs, as the server sees them.
  local function sessions(state)
    return db:value([[
      select count(*) from pg_stat_activity
      where datname = current_database() and application_name = 'jobq-run job'
        and ($1::text is null or state = $1)]], state)
  end

  describe("a query", function()
    it("answers rows, and what is known of them", function()
      local rows, info = query("select 1 as a, 'x' as b union all select 2, null order by 1")
      assert.same({ { a = 1, b = "x" }, { a = 2 } }, rows)
      assert.same({ affected = 2, columns = { "a", "b" } }, info)
      rows, info = query("insert into thing values (1, 'one'), (2, 'two')")
      assert.same({}, rows)
      assert.equal(2, info.affected)
      assert.equal("[]", jobq.json.encode(rows))
      assert.equal("two", value("select name from thing where id = $1", 2))
      assert.is_nil((value("select name from thing where id = $1", 3)))
      assert.same({ id = 1, name = "one" }, run(function()
        return sql.first "select * from thing order by id"
      end))
      assert.is_nil(run(function() return sql.first "select 1 where false" end))
    end)

    it("maps types exactly", function()
      local cases = {
        { "true", true }, { "false", false },
        { "9223372036854775807::int8", math.maxinteger }, { "-1::int2", -1 },
        { "0.1::float8", 0.1 }, { "1.5::float4", 1.5 },
        { "12345678901234567890.123456789::numeric", "12345678901234567890.123456789" },
        { "'grüße'::text", "grüße" },
        { "'2024-02-29 12:00:00+00'::timestamptz at time zone 'utc'", "2024-02-29 12:00:00" },
        { "'{\"a\": [1, null, 9007199254740993]}'::jsonb", { a = { 1, null, 9007199254740993 } } },
        { "'null'::json", null },
        { "'\\x00ff'::bytea", "\0\255" },
        { "array[1, null, 3]", { 1, null, 3 } },
        { "array['a b', 'c\"d', 'NULL', null, '', 'x,y}', E'back\\\\slash']",
          { "a b", 'c"d', "NULL", null, "", "x,y}", "back\\slash" } },
        { "array[1.50]::numeric[]", { "1.50" } },
        { "array['{\"a\": 1}'::jsonb]", { { a = 1 } } },
        { "array[]::int[]", {} },
        { "array[[1,2],[3,4]]", "{{1,2},{3,4}}" },
        { "'[0:1]={1,2}'::int[]", "[0:1]={1,2}" },
        { "interval '1 day'", "1 day" },
      }
      for _, case in ipairs(cases) do
        assert.same(case[2], value("select " .. case[1]), case[1])
      end
      assert.equal("integer", math.type(value "select 1::int8"))
      assert.equal("float", math.type(value "select 1::float8"))
    end)

    it("takes values as they are", function()
      local cases = {
        { "text", "it's; drop table thing --" }, { "text", "" }, { "text", "grüße\n\t\\" },
        { "int8", math.mininteger }, { "float8", 0.1 }, { "float8", 1e300 }, { "bool", true },
        { "int[]", { 1, 2, 3 } }, { "text[]", { "a", 'b "c"', "\\", "NULL", "{}", "" } },
        { "jsonb", { a = { 1, 2 }, b = "x" } }, { "int[]", jobq.json.array {} },
        { "int[]", { 1, null, 3 } }, { "jsonb[]", { { a = 1 }, { b = { 1 } } } },
      }
      for _, case in ipairs(cases) do
        assert.same(case[2], value(("select $1::%s"):format(case[1]), case[2]), case[1])
      end
      assert.equal("{{1,2},{3,4}}", value("select $1::int[]", { { 1, 2 }, { 3, 4 } }))
      assert.is_true(value("select $1::text is null and $2::text is null", nil, null))
      assert.equal("[1]", jobq.json.encode(value("select $1::jsonb", jobq.json.encode { 1 })))
      assert.equal(3, value("select $1::int + $2::int + $3::int", 1, 1, 1))
      local _, why, code = value("select $1::text", "a\0b")
      assert.equal("parameter $1 holds a NUL byte, which text cannot", why)
      assert.equal("22021", code)
      local function raises(message, ...)
        local args = table.pack(...)
        assert.error_matches(function()
          value("select $1, $2", table.unpack(args, 1, args.n))
        end, message, 1, true)
      end
      raises("parameter $2: not a value for SQL", 1, print)
      raises("parameter $1: not a value for SQL", { 1, print })
      raises("parameter $1: f: a function has no JSON", { f = print })
    end)

    it("fails with message, SQLSTATE, detail and hint", function()
      local _, why, code, _, hint = query("select nam from thing")
      assert.equal('column "nam" does not exist', why)
      assert.equal("42703", code)
      assert.equal('Perhaps you meant to reference the column "thing.name".', hint)
      query("insert into thing values (1, 'one')")
      local _, _, duplicate, detail = query("insert into thing values (1, 'one')")
      assert.equal("23505", duplicate)
      assert.equal("Key (id)=(1) already exists.", detail)
      assert.equal(1, value "select 1")
      local _, _, several = query("select 1; select 2")
      assert.equal("42601", several)
    end)

    it("may not take longer than it may", function()
      local start = uv.hrtime()
      local _, why, code = run(function()
        return sql.query { "select pg_sleep($1)", 10, timeout = 0.2 }
      end)
      assert.equal("canceling statement due to statement timeout", why)
      assert.equal("57014", code)
      assert.is_true(uv.hrtime() - start < 5e9)
      assert.equal(1, value "select 1 from pg_sleep(0.3)") -- it holds for one statement
    end)

    it("has its own limit after a rollback, too, which brings the old one back", function()
      assert.equal(1, run(function()
        return sql.transaction(function(tx)
          tx:query { "savepoint a", timeout = 0.2 }
          tx:query "select 1"
          tx:query "rollback to savepoint a"
          return tx:value "select 1 from pg_sleep(0.3)"
        end)
      end))
      local _, _, code = run(function()
        return sql.transaction(function(tx)
          tx:transaction(function(inner)
            inner:query { "select 1", timeout = 0.2 }
            return nil, "no"
          end)
          return tx:value { "select 1 from pg_sleep(1)", timeout = 0.2 }
        end)
      end)
      assert.equal("57014", code)
    end)

    it("cannot copy, and says so", function()
      for _, statement in ipairs { "copy thing to stdout", "copy thing from stdin" } do
        local _, why, code = query(statement)
        assert.equal("the connection was lost: COPY is not possible here", why)
        assert.equal("connection_lost", code)
      end
      assert.equal(1, value "select 1")
    end)

    it("is prepared once a connection, and anew when the table has changed", function()
      local function prepared()
        return value [[
          select count(*) from pg_prepared_statements where statement like '%from thing%']]
      end
      for i = 1, 3 do
        query("select * from thing where id = $1", i)
      end
      assert.equal(2, prepared()) -- and the one that asks
      db:query "alter table thing add more text default 'm'"
      db:query "insert into thing values (1, 'one')"
      assert.same({ { id = 1, name = "one", more = "m" } },
        (query("select * from thing where id = $1", 1)))
      for i = 1, 200 do
        assert.equal(i, value("select " .. i))
      end
      assert.is_true(value "select count(*) from pg_prepared_statements" <= 70)
    end)

    it("survives the end of its connection", function()
      local pid = value "select pg_backend_pid()"
      db:query("select pg_terminate_backend($1::int)", pid)
      db:wait_until("it is gone", [[
        select not exists (select from pg_stat_activity where pid = $1::int)]], pid)
      local _, why, code = query "select 1"
      if code then -- the loop had no chance to notice before
        assert.equal("connection_lost", code, why)
      end
      assert.not_equal(pid, value "select pg_backend_pid()")
    end)

    it("says why there is no connection", function()
      uv.os_setenv("JOBQ_DATABASE_DEFAULT", "host=/no/such dbname=x")
      local _, why, code = query "select 1"
      assert.matches("/no/such", why)
      assert.is_nil(why:find("\n", 1, true))
      assert.equal("connect", code)
    end)

    it("raises when the handler is wrong", function()
      local function raises(message, f)
        local ok, why = pcall(run, f)
        assert.is_false(ok)
        assert.matches("sql_spec.lua:%d+: " .. message, why)
      end
      raises("jobq.sql.query: expected a statement, got a number",
        function() local r = sql.query(1) return r end)
      raises("jobq.sql.query: unknown option 'timout'\nhint: did you mean 'timeout'?",
        function() local r = sql.query { "select 1", timout = 1 } return r end)
      raises("jobq.sql.query: timeout: 0 is not a positive number of seconds",
        function() local r = sql.query { "select 1", timeout = 0 } return r end)
      raises("jobq.sql.transaction: expected a function, got a nil",
        function() local r = sql.transaction() return r end)
      raises("jobq.sql.transaction: unknown option 'isolatoin'\nhint: did you mean 'isolation'?",
        function() local r = sql.transaction(print, { isolatoin = "x" }) return r end)
      raises("jobq.sql.transaction: isolation: 'x' is not",
        function() local r = sql.transaction(print, { isolation = "x" }) return r end)
      assert.error_matches(function() sql.query "select 1" end,
        "jobq.sql.query can only wait inside run")
    end)
  end)

  describe("a transaction", function()
    local function insert(tx, id, name)
      local rows, why, code = tx:query("insert into thing values ($1, $2)", id, name)
      return rows, why, code
    end

    local function transaction(f, options)
      return run(function() return sql.transaction(f, options) end)
    end

    it("commits what its function did", function()
      assert.same({ "a", 2 }, { transaction(function(tx)
        insert(tx, 1, "one")
        assert(tx:value "select count(*) from thing" == 1)
        assert(db:value "select count(*) from thing" == 0)
        return "a", 2
      end) })
      assert.equal("one", names())
      assert.is_true(transaction(function() end))
      assert.equal(0, sessions "idle in transaction")
    end)

    it("is rolled back by an error, with the handler's own traceback", function()
      local ok, why = pcall(transaction, function(tx)
        insert(tx, 1, "one")
        error("no")
      end)
      assert.is_false(ok)
      assert.matches("sql_spec.lua:%d+: no", why)
      assert.equal("", names())
      assert.equal(1, value "select 1")
      db:wait_until("no session waits in a transaction", [[
        select not exists (select from pg_stat_activity
          where datname = current_database() and state like 'idle in transaction%')]])
    end)

    it("is rolled back by a failure that its function returns", function()
      assert.same({ nil, "not today", "later" }, { transaction(function(tx)
        insert(tx, 1, "one")
        return nil, "not today", "later"
      end) })
      assert.equal("", names())
    end)

    it("fails as its first statement that failed, whatever comes after", function()
      local _, why, code = transaction(function(tx)
        insert(tx, 1, "one")
        insert(tx, 1, "again")
        local _, _, refused = tx:query "select 1"
        assert(refused == "25P02")
        return "all is well"
      end)
      assert.matches("duplicate key", why)
      assert.equal("23505", code)
      assert.equal("", names())
    end)

    it("fails when its COMMIT does", function()
      db:query "alter table thing add unique (name) deferrable initially deferred"
      local _, why, code = transaction(function(tx)
        insert(tx, 1, "same")
        insert(tx, 2, "same")
      end)
      assert.matches("duplicate key", why)
      assert.equal("23505", code)
      local _, _, ended = transaction(function(tx)
        insert(tx, 1, "one")
        tx:query "rollback"
      end)
      assert.equal("25P01", ended)
      _, _, ended = transaction(function(tx)
        tx:query "rollback"
        tx:query "begin"
        insert(tx, 1, "one")
      end)
      assert.equal("25P01", ended)
      assert.equal("", names())
    end)

    it("has an isolation and may be read-only", function()
      assert.equal("serializable", transaction(function(tx)
        return tx:value "select current_setting('transaction_isolation')"
      end, { isolation = "serializable" }))
      local _, _, code = transaction(function(tx)
        insert(tx, 1, "one")
      end, { read_only = true })
      assert.equal("25006", code)
    end)

    it("holds others, which are savepoints", function()
      assert.is_true(transaction(function(tx)
        insert(tx, 1, "one")
        assert(tx:transaction(function(inner)
          insert(inner, 2, "two")
          local none, _, code = inner:transaction(function(innermost)
            insert(innermost, 3, "three")
            insert(innermost, 3, "three")
          end)
          assert(none == nil and code == "23505")
        end))
        local none, why = tx:transaction(function(inner)
          insert(inner, 4, "four")
          return nil, "no"
        end)
        assert(none == nil and why == "no")
        assert(not pcall(function()
          tx:transaction(function(inner)
            insert(inner, 5, "five")
            error "no"
          end)
        end))
        insert(tx, 6, "six")
      end))
      assert.equal("one two six", names())
    end)

    it("is over when it is over", function()
      local kept, inner_kept
      transaction(function(tx)
        kept = tx
        tx:transaction(function(inner) inner_kept = inner end)
        local ok, why = pcall(function() inner_kept:query "select 1" end)
        assert(not ok and why:find "transaction is over")
      end)
      assert.error_matches(
        function() run(function() kept:query "select 1" end) end, "transaction is over")
      assert.error_matches(function() run(function() kept:qury "select 1" end) end,
        "a transaction has no method 'qury'\nhint: did you mean 'query'?", 1, true)
    end)

    it("completes no job where there is none", function()
      assert.error_matches(function()
        transaction(function(tx) tx:complete() end)
      end, "a job can only be used inside run")
    end)
  end)

  describe("a run that is stopped", function()
    local function stopped(f)
      local ok, why = pcall(run, f, 0.2)
      assert.is_false(ok)
      assert.matches("stopped after 0.2 s", why, 1, true)
    end

    local function wait_until_quiet()
      db:wait_until("no session works or waits in a transaction", [[
        select not exists (
          select from pg_stat_activity
          where datname = current_database() and application_name = 'jobq-run job'
            and (state = 'active' or state like 'idle in transaction%'))]])
    end

    it("takes its statement along", function()
      local start = uv.hrtime()
      stopped(function() return sql.query "select pg_sleep(60)" end)
      wait_until_quiet()
      assert.is_true(uv.hrtime() - start < 10e9)
    end)

    it("rolls back", function()
      stopped(function()
        return sql.transaction(function(tx)
          tx:query "insert into thing values (1, 'one')"
          jobq.sleep(60)
        end)
      end)
      core.task.run(function() jobq.sleep(0.05) end)
      wait_until_quiet()
      stopped(function()
        return sql.transaction(function(tx)
          tx:query "insert into thing values (1, 'one')"
          return tx:query "select pg_sleep(60)"
        end)
      end)
      wait_until_quiet()
      assert.equal("", names())
    end)

    it("leaves the line", function()
      uv.os_setenv("JOBQ_DATABASE_DEFAULT_CONNECTIONS", "1")
      run(function()
        sql.transaction(function()
          local inner = coroutine.create(function() end)
          coroutine.close(inner)
        end)
      end)
      stopped(function()
        return sql.transaction(function()
          return sql.query "select 1" -- waits for the connection that it holds itself
        end)
      end)
      core.task.run(function() jobq.sleep(0.05) end)
      assert.equal(1, value "select 1")
      assert.equal(1, sessions())
    end)
  end)

  describe("a database", function()
    it("has a name in the settings", function()
      db:query "create schema other"
      uv.os_setenv("JOBQ_DATABASE_CRM", db.dsn .. " options='-c search_path=other'")
      local crm = sql.database "crm"
      assert.equal("other", run(function() return crm:value "show search_path" end))
      assert.equal('"$user", public', run(function() return sql.value "show search_path" end))
      assert.is_true(run(function()
        return crm:transaction(function(tx) tx:query "create table t ()" end)
      end))
      assert.equal(0, db:value "select count(*) from other.t")
      assert.error_matches(function() return sql.database "crn" end,
        "setting 'database.crn' is not there")
      assert.error_matches(function() return sql.database "a b" end,
        "jobq.sql.database: 'a b' is not the name of a database")
      assert.error_matches(function() return crm.quer end, "a database has no field 'quer'")
    end)

    it("may be told where its dsn is, and shows no password when it is not reached", function()
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      files.write(path, db.dsn .. "\n")
      uv.os_setenv("JOBQ_DATABASE_FILED", "file:" .. path)
      assert.equal(1, run(function() return sql.database("filed"):value "select 1" end))
      uv.os_setenv("JOBQ_DATABASE_GONE", "postgres://ann:hush-hush@127.0.0.1:1/x")
      local _, why, code = run(function() return sql.database("gone"):value "select 1" end)
      assert.equal("connect", code)
      assert.is_nil(why:find("hush", 1, true))
    end)
  end)

  describe("enqueuing", function()
    it("adds jobs at once", function()
      local id = run(function()
        return jobq.enqueue("email.send", { to = "ann", n = 9007199254740993 }, {
          queue = "email", priority = 2, delay = 60, max_attempts = 7, tags = { "a" }, timeout = 5,
        })
      end)
      local job = db:job(id)
      assert.equal("email.send", job.kind)
      assert.equal("email", job.queue)
      assert.equal(2, job.priority)
      assert.equal(7, job.max_attempts)
      assert.equal(9007199254740993, core.json.decode(job.args).n)
      assert.same({ "a" }, job.tags)
      assert.is_true(db:value("select run_at > now() + '50 s' from jobq.find($1::bigint)", id))
      local first = run(function() return jobq.enqueue("a.b", nil, { unique_key = "k" }) end)
      assert.equal(first, run(function() return jobq.enqueue("a.b", {}, { unique_key = "k" }) end))
      local timed = run(function()
        local timed_id = jobq.enqueue("a.b", {}, { run_at = 1700000000 })
        return timed_id
      end)
      assert.equal(1700000000, db:value(
        "select extract(epoch from run_at)::int8 from jobq.find($1::bigint)", timed))
    end)

    it("adds many, in order", function()
      local ids = run(function()
        local list = { { n = 1 }, { n = 2 }, { n = 'it\'s "3"' } }
        return jobq.enqueue_many("a.b", list, { priority = 1 })
      end)
      assert.equal(3, #ids)
      for i, expected in ipairs { 1, 2, 'it\'s "3"' } do
        local job = db:job(ids[i])
        assert.equal(expected, core.json.decode(job.args).n)
        assert.equal(1, job.priority)
      end
      assert.same({}, run(function() return jobq.enqueue_many("a.b", {}) end))
    end)

    it("belongs to a transaction if it is asked of one", function()
      run(function()
        sql.transaction(function(tx)
          assert(tx:enqueue("a.b", { n = 1 }))
          assert(#tx:enqueue_many("a.b", { {}, {} }) == 2)
          return nil, "no"
        end)
      end)
      assert.equal(0, db:value "select count(*) from jobq.ready")
      run(function()
        sql.transaction(function(tx)
          tx:enqueue("a.b", { n = 1 })
          tx:enqueue_many("a.b", { {}, {} })
        end)
      end)
      assert.equal(3, db:value "select count(*) from jobq.ready")
    end)

    it("fails, or raises, with what is wrong", function()
      local function raises(message, ...)
        local args = table.pack(...)
        local ok, why = pcall(run, function()
          local id = jobq.enqueue(table.unpack(args, 1, args.n))
          return id
        end)
        assert.is_false(ok)
        assert.matches("sql_spec.lua:%d+: jobq.enqueue: " .. message, why)
      end
      raises("expected the name of a kind, got a nil")
      raises("unknown option 'priorty'\nhint: did you mean 'priority'?", "a.b", {}, { priorty = 1 })
      raises("delay: expected a number, got '1s'", "a.b", {}, { delay = "1s" })
      raises("args: expected a table, got a number", "a.b", 1)
      raises("args: .*function", "a.b", { f = print })
      local _, why, code = run(function() return jobq.enqueue("a.b", {}, { priority = 10 }) end)
      assert.equal("priority 10 is out of range, expected 0 (soonest) to 9", why)
      assert.equal("22023", code)
    end)
  end)
end)
