local postgres = require "support.postgres"
local protocol = require "db.protocol"

local REFUSED = "42501"

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

  local function refuses(role, statements)
    local conn = as(role)
    for _, sql in ipairs(statements) do
      local rows, _, sqlstate = conn:query(sql)
      assert.is_nil(rows, ("%s may: %s"):format(role, sql))
      assert.equal(REFUSED, sqlstate, sql)
    end
  end

  local LOOK = {
    "select * from jobq.job", "select * from jobq.worker_status", "select * from jobq.log",
    "select * from jobq.stats()", "select * from jobq.attempts(1)", "select * from jobq.find(1)",
    "select * from jobq.kind_status", "select * from jobq.why(1)",
  }
  local TABLES = {
    "select * from jobq.ready", "insert into jobq.ready (lane_id, kind_id) values (1, 1)",
    "delete from jobq.lease", "update jobq.finished set error = ''",
    "select * from jobq.unique_key", "select nextval('jobq.ready_id_seq')",
    "select * from jobq.worker", "delete from jobq.migration",
  }
  local INNARDS = {
    "select * from jobq.settle(1, '{}', '{}', '{}')", "select jobq.route('a', null)",
    "select jobq.take_key(1, 'k', null, 1)", "select jobq.reconcile(1, '{}', 1)",
    "select * from jobq.declare_kinds(1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '')",
    "select jobq.sort_lanes()", "select jobq.make_days()", "select jobq.grant_roles()",
    "select jobq.drop_days('jobq.attempt', now())", "select jobq.wake(1)",
    "select jobq.requeue(1, '0', 1)", "select * from jobq.why_nobody('a', 'b')",
  }
  local CHANGE = {
    "select jobq.cancel(999)", "select jobq.retry(999)", "select jobq.cleanup()",
    "select jobq.forget()", "select * from jobq.delete_finished(now())",
    "select * from jobq.recover()", "select jobq.reload()",
    "select * from jobq.cancel_many('{}')", "select jobq.retry_many('{}')",
    "select jobq.stop_worker(1)", "select jobq.edit(999)",
  }
  local ENQUEUE = {
    "select jobq.enqueue('b', unique_key => 'k', tags => array['t'])",
    "select jobq.enqueue_many('new', array['{}']::jsonb[], queue => 'new')",
  }
  local STATE = { "select * from jobq.schema_state()", "select max(number) from jobq.migration",
    "select jobq.schema_of('a')" }

  it("let a producer enqueue, and nothing else", function()
    allows("jobq_producer", ENQUEUE)
    allows("jobq_producer", STATE)
    for _, list in ipairs { LOOK, TABLES, INNARDS, CHANGE } do
      refuses("jobq_producer", list)
    end
  end)

  it("let a reader look, and nothing else", function()
    allows("jobq_reader", LOOK)
    allows("jobq_reader", STATE)
    for _, list in ipairs { ENQUEUE, TABLES, INNARDS, CHANGE } do
      refuses("jobq_reader", list)
    end
  end)

  it("let an admin look, enqueue and change, but not touch the tables", function()
    for _, list in ipairs { LOOK, ENQUEUE, CHANGE, STATE } do
      allows("jobq_admin", list)
    end
    refuses("jobq_admin", TABLES)
    refuses("jobq_admin", INNARDS)
  end)

  it("let a worker do all that a worker does", function()
    local w
    local connect = db.connect
    db.connect = function(self, ...)
      local conn = connect(self, ...)
      assert(conn:query "set role jobq_worker")
      return conn
    end
    w = protocol.worker(db, { kinds = { "a", { "b", queue = "mail" } } })
    db.connect = connect
    assert.equal(id, w:claim_one().id)
    assert.equal(1, #w:ask("claimed", w.id, 1))
    w:ask("write_logs", { id }, { 1 }, { 5 }, { 1 }, { "hi" }, { "" })
    w:settle { { { seq = 1, slot = 1 }, "retry", error = "boom" } }
    w:ask("wake_lanes", w:lanes())
    w:ask("fall_asleep", w.id, w:lanes())
    w:ask("may_sleep", w:value "mark")
    w:ask("next_due", w:lanes())
    w:ask("withdraw", w.id)
    w:ask("heartbeat", w.id, 1, 1, 0, 0, 1)
    w:ask("reconcile", w.id, {}, 5)
    w:ask("recover", 300000, {})
    w:ask "worker_locks"
    w:ask("drained", w.id)
    w:ask("report_load", w.id, "does not load")
    w:ask "tend"
    w:ask "schema_state"
    w:ask("stop", w.id)
    w:sql "select jobq.enqueue('from.handler')"
  end)

  it("do not let a worker rewrite the schema's own record", function()
    refuses("jobq_worker", { "delete from jobq.migration", "drop table jobq.ready",
      "update jobq.migration set min_worker = '9'" })
  end)

  it("leave everybody else outside", function()
    db:query "drop role if exists spec_stranger"
    db:query "create role spec_stranger"
    for _, list in ipairs { LOOK, TABLES, INNARDS, CHANGE, ENQUEUE, STATE } do
      refuses("spec_stranger", list)
    end
    db:query "drop role spec_stranger"
  end)

  it("are granted again when they are made after the migration", function()
    db:query "select jobq.make_roles()"
    db:query "select jobq.grant_roles()"
    allows("jobq_producer", ENQUEUE)
    refuses("jobq_producer", CHANGE)
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

  it("lets nobody call a function unasked", function()
    assert.same({}, functions [[exists (select from aclexplode(
      coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)]])
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
