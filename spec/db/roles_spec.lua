--- Each role at what it is for, with everything taking place; what it may not is in rights_spec.
local every_statement = require "db.every_statement"
local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("roles", function()
  local db, id

  before_each(function()
    db = postgres.database()
    id = db:enqueue { "a" }
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function as(role)
    local conn = db:connect()
    assert(conn:query("set role " .. role))
    return conn
  end

  local function allows(role, statements)
    local conn = as(role)
    for _, sql in ipairs(statements) do
      local rows, message = conn:query(sql)
      assert.is_truthy(rows, ("%s may not: %s: %s"):format(role, sql, message))
    end
  end

  local LOOK = {
    "select * from jobq.job", "select * from jobq.worker_status", "select * from jobq.log",
    "select * from jobq.stats()", "select * from jobq.attempts(1)", "select * from jobq.find(1)",
    "select * from jobq.kind_status", "select * from jobq.why(1)",
    "select * from jobq.batch_status",
  }
  local CHANGE = {
    "select jobq.edit(1, priority => 3)", "select jobq.cancel(1)", "select jobq.retry(1)",
    "select * from jobq.cancel_many('{1}')", "select jobq.retry_many('{1}')",
    "select jobq.cleanup()", "select jobq.forget()", "select * from jobq.delete_finished(now())",
    "select * from jobq.recover()", "select jobq.reload()", "select jobq.stop_worker(1)",
  }
  local ENQUEUE = {
    "select jobq.enqueue('b', unique_key => 'k', tags => array['t'])",
    "select jobq.enqueue_many('new', array['{}']::jsonb[], queue => 'new')",
    "select jobq.close_batch(jobq.open_batch('n', on_complete => '\"a\"'))",
  }
  local STATE = { "select * from jobq.schema_state()", "select max(number) from jobq.migration",
    "select jobq.schema_of('a')" }

  it("let a producer enqueue", function()
    allows("jobq_producer", ENQUEUE)
    allows("jobq_producer", STATE)
  end)

  it("let a reader look", function()
    allows("jobq_reader", LOOK)
    allows("jobq_reader", STATE)
  end)

  it("let an admin look, enqueue and change", function()
    for _, list in ipairs { LOOK, ENQUEUE, CHANGE, STATE } do
      allows("jobq_admin", list)
    end
  end)

  it("let a worker say every statement that a worker has", function()
    db:query("select jobq.cancel($1)", id)
    every_statement.tell(db)
  end)

  it("let a worker bring back the jobs of another one that died", function()
    local dead = protocol.worker(every_statement.database_as(db, {}), { kinds = { "a" } })
    dead:claim_one()
    db:query("update jobq.worker set seen_at = now() - interval '1 hour' where id = $1", dead.id)
    local w = protocol.worker(every_statement.database_as(db, {}), { kinds = { "a" } })
    assert.equal(1, w:ask("recover", 300000, {})[1].jobs)
  end)

  it("are granted again when they are made after the migration", function()
    db:query "revoke all on all functions in schema jobq from jobq_producer"
    assert.equal("42501", select(3, as("jobq_producer"):query(ENQUEUE[1])))
    db:query "select jobq.make_roles()"
    db:query "select jobq.grant_roles()"
    allows("jobq_producer", ENQUEUE)
  end)

  it("cannot be fooled by a search path", function()
    local conn = as "jobq_producer"
    assert(conn:query "create temp table now (x int)")
    assert(conn:query "set search_path = pg_temp, public")
    assert(conn:query "select jobq.enqueue('a')")
  end)
end)

describe("the schema", function()
  local db

  setup(function()
    db = postgres.database()
  end)

  teardown(function()
    db:close()
  end)

  local function functions(where)
    local names = {}
    for i, row in ipairs(db:query([[
      select p.oid::regprocedure::text as name from pg_proc p
      where p.pronamespace = 'jobq'::regnamespace and ]] .. where)) do
      names[i] = row.name
    end
    return names
  end

  it("explains every function and view", function()
    assert.same({}, functions "obj_description(p.oid, 'pg_proc') is null")
    assert.same({}, db:query [[select relname from pg_class
      where relnamespace = 'jobq'::regnamespace and relkind = 'v'
        and obj_description(oid, 'pg_class') is null]])
  end)

  it("fixes the search path of what runs with its owner's rights", function()
    assert.same({}, functions [[p.prosecdef and not exists (
      select from unnest(p.proconfig) c where c = 'search_path=pg_catalog, pg_temp')]])
  end)

  it("knows its version and the oldest worker that fits", function()
    db:query "begin"
    assert.equal("0.1.0", db:value "select min_worker from jobq.schema_state()")
    assert.is_true(db:value "select version >= 11 from jobq.schema_state()")
    db:query [[insert into jobq.migration
      values (990, 'x', '0.10.0'), (991, 'y', '0.9.9'), (992, 'z', null)]]
    assert.same({ version = 992, min_worker = "0.10.0" },
      db:row "select * from jobq.schema_state()")
    db:query "rollback"
  end)
end)
