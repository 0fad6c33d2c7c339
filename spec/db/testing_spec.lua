--- t.database() of jobq.testing, on a real server.
local t = require "jobq.testing"

local databases = require "jobq.testing.database"
local files = require "support.files"
local handlers = require "support.handlers"
local postgres = require "support.postgres"
local uv = require "luv"

local BOOK = [[
local jobq = require "jobq"
return {
  book = { run = function(job)
    return jobq.sql.transaction(function(tx)
      tx:query("insert into seat values ($1)", job.args.seat)
      tx:enqueue("seat.mail", { seat = job.args.seat })
      tx:complete { seat = job.args.seat }
    end)
  end },
  mail = { run = function() return jobq.done(jobq.sql.value "select count(*) from seat") end },
}]]

describe("t.database()", function()
  local run, db

  setup(function()
    uv.os_setenv("JOBQ_SPEC_DSN", postgres.database().dsn)
  end)

  teardown(function()
    uv.os_unsetenv "JOBQ_SPEC_DSN"
    databases.stop()
  end)

  before_each(function()
    run = t.handlers(handlers({ ["seat.lua"] = BOOK }).path)
    db = t.database()
    db:query "create table seat (number int primary key)"
  end)

  it("is what jobq.sql reaches", function()
    local report = run("seat.book", { seat = 7 })
    assert.same({ "done", 7 }, { report.verdict, report.result.seat })
    assert.equal(7, db:value "select number from seat")
    assert.enqueued { kind = "seat.mail", args = { seat = 7 } }
    assert.equal(1, #report.enqueued)
    assert.equal("seat.mail", report.enqueued[1].kind)
  end)

  it("undoes what fails", function()
    db:query "insert into seat values (7)"
    local report = run("seat.book", { seat = 7 })
    assert.equal("failed", report.verdict)
    assert.equal("23505", report.code)
    assert.same({}, t.enqueued())
  end)

  it("is fresh in each spec", function()
    assert.equal(0, db:value "select count(*) from seat")
    assert.equal(0, db:value "select count(*) from jobq.job")
  end)

  it("can be worked off", function()
    run("seat.book", { seat = 1 })
    run("seat.book", { seat = 2 })
    db:query "select jobq.enqueue('seat.book', '{\"seat\": 3}')"
    local reports = t.drain(run)
    assert.equal(4, #reports)
    assert.same({ "seat.mail", "seat.mail", "seat.book", "seat.mail" },
      { reports[1].kind, reports[2].kind, reports[3].kind, reports[4].kind })
    assert.equal(3, reports[4].result)
    assert.same({}, t.enqueued())
  end)

  it("tells what is wrong with a statement", function()
    assert.error_matches(function() db:query "selct 1" end, "syntax error at or near \"selct\"")
  end)
end)

describe("databases for specs", function()
  it("leave nothing behind, also when their run was killed", function()
    local db = postgres.database()
    uv.os_setenv("JOBQ_SPEC_DSN", db.dsn)
    finally(function()
      uv.os_unsetenv "JOBQ_SPEC_DSN"
      databases.stop()
    end)
    db:query "create database jobq_spec_1_7" -- pid 1 is no session
    db:query("create database jobq_spec_" .. db:value "select pg_backend_pid()" .. "_7") -- ours
    local count = "select count(*) from pg_database where datname ~ '^jobq_spec_'"
    databases.drop(databases.open())
    assert.equal(2, db:value(count))
    databases.stop()
    assert.equal(1, db:value(count))
  end)

  it("are on a server that can be reached", function()
    uv.os_setenv("JOBQ_SPEC_DSN", "host=/nowhere")
    finally(function() uv.os_unsetenv "JOBQ_SPEC_DSN" end)
    assert.error_matches(databases.open, "^t.database%(%): ")
  end)

  it("are on a private server where none is named", function()
    local home = handlers {}
    local before, folder = uv.cwd(), os.getenv "JOBQ_SPEC_FOLDER"
    uv.chdir(home.path)
    uv.os_unsetenv "JOBQ_SPEC_FOLDER"
    finally(function()
      databases.stop()
      uv.chdir(before)
      if folder then
        uv.os_setenv("JOBQ_SPEC_FOLDER", folder)
      end
    end)
    local db = databases.open()
    assert.is_true(files.exists ".jobq/spec-pg")
    assert.equal(0, db:value "select count(*) from jobq.job")
    databases.drop(db)
  end)
end)
