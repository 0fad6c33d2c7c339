--- A producer, a worker, a viewer and an admin, each with a role of its own and no more. (All other
--- engine specs run workers and commands under their roles, too: support/postgres.lua.)
local engine = require "support.engine"
local files = require "support.files"

local ONCE = [[return { max_attempts = 1, run = function(job)
  job.log:info "here"
  if job.args.wrong then error "boom" end
end }]]

-- Command -> how it is called, by the role that its table names.
local CALLS = {
  producer = { enqueue = { "enqueue", "a" }, emit = { "emit", "a" } },
  reader = {
    jobs = { "jobs" }, wait = { "wait", "3" }, job = { "job", "1" }, why = { "why", "1" },
    stats = { "stats" },
    kinds = { "kinds" }, logs = { "logs", "1" }, workers = { "workers" }, doctor = { "doctor" },
    batches = { "batches" }, batch = { "batch", "1" },
    health = { "health", "--ready" }, queues = { "queues" },
    schedules = { "schedules", "--next", "2" },
    limits = { "limits" },
  },
  admin = {
    cancel = { "cancel", "2" }, edit = { "edit", "2", "--priority", "3" }, retry = { "retry", "1" },
    snooze = { "snooze", "2", "1m" }, delete = { "delete", "3" },
    cleanup = { "cleanup" }, reload = { "reload" }, workers_cleanup = { "workers", "cleanup" },
    workers_stop = { "workers", "stop", "--all" }, batch_cancel = { "batch", "cancel", "1" },
    pause = { "pause", "default" }, resume = { "resume", "default" },
    schedules_add = { "schedules", "add", "s", "@daily", "a" },
    schedules_run = { "schedules", "run", "s" },
    schedules_pause = { "schedules", "pause", "s" },
    schedules_resume = { "schedules", "resume", "s" },
    schedules_remove = { "schedules", "remove", "s" },
    limits_set = { "limits", "set", "x", "--kind", "b", "--running", "1" },
    limits_drop = { "limits", "drop", "x" },
  },
}
local ORDER = {
  "schedules_add", "schedules_run", "schedules_pause", "schedules_resume", "schedules_remove",
  "limits_set", "limits_drop",
  "pause", "resume", "edit", "snooze", "cancel", "retry", "delete", "cleanup", "reload",
  "batch_cancel", "workers_cleanup", "workers_stop",
}

describe("roles", function()
  local db, failed, waiting, w

  before_each(function()
    db = engine.database()
    w = engine.worker(db, { ["a.lua"] = ONCE }, { executors = 1 })
    for _, role in ipairs { "producer", "reader" } do
      db:query(("create role spec_%s login in role jobq_%s"):format(role, role))
    end
  end)

  after_each(function()
    db:close()
    engine.database():query "drop role spec_producer, spec_reader"
  end)

  local function dsn(role)
    return (db.dsn:gsub("user=%w+", "user=spec_" .. role))
  end

  local function as(role, words)
    return engine.jobq({ dsn = dsn(role) }, words)
  end

  -- One job that failed, one that waits, one that has completed.
  local function have_jobs()
    local app = db:connect("user=spec_producer")
    failed = assert(app:query [[select jobq.enqueue('a', '{"wrong": true}') as id]])[1].id
    waiting = assert(app:query "select jobq.enqueue('a', delay => '1 hour') as id")[1].id
    local done = assert(app:query "select jobq.enqueue('a') as id")[1].id
    assert(app:query "select jobq.open_batch()")
    db:query "select jobq.schedule('s', '@daily', 'a')"
    db:wait_for(failed, "failed")
    db:wait_for(done, "completed")
  end

  it("of the commands are those that they name", function()
    local named = { producer = {}, reader = {}, admin = {} }
    for _, path in ipairs(files.glob "scripts/admin/*.lua") do
      local role = files.read(path):match '\n  role = "jobq_(%a+)"'
      if role and not path:find "/_" then
        named[role][path:match "([%w_]+)%.lua$"] = true
      end
    end
    for role, calls in pairs(CALLS) do
      for name in pairs(calls) do
        assert.is_true(named[role][name], ("%s is not for %s"):format(name, role))
        named[role][name] = nil
      end
      assert.same({}, named[role])
    end
  end)

  it("suffice from enqueue to retry, with a viewer beside", function()
    have_jobs()
    assert.same({ 1, 2 }, { failed, waiting })
    for name, words in pairs(CALLS.reader) do
      assert.same({ name, 0 }, { name, as("reader", words).status })
    end
    assert.matches("here", as("reader", { "logs", "1" }).out)
    for _, name in ipairs(ORDER) do
      assert.same({ name, 0 }, { name, as("admin", CALLS.admin[name]).status })
    end
    assert.equal(0, w:wait())
    assert.equal("cancelled", db:job(waiting).status)
    assert.equal("failed", db:value("select outcome from jobq.attempt where job_id = $1", failed))
  end)

  it("do not suffice for what is another's: exit status 5", function()
    have_jobs()
    local function refuses(role, of)
      for name, words in pairs(CALLS[of]) do
        if name ~= "doctor" then -- which reports what it may not
          local answer = as(role, words)
          assert.same({ name, 5 }, { name, answer.status })
          assert.matches(("role 'spec_%s' may not do this"):format(role), answer.err)
          assert.matches(("grant jobq_%s to"):format(of), answer.err)
        end
      end
    end
    refuses("producer", "reader")
    refuses("producer", "admin")
    refuses("reader", "producer")
    refuses("reader", "admin")
    assert.equal(3, as("admin", { "job", "4" }).status)
    assert.equal("pending", db:job(waiting).status)
    assert.is_true(w:is_running())
    assert.equal(0, w:stop())
  end)
end)
