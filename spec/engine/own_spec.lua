--- The commands for who writes handlers: new handler, check, test, run-once.
local build = require "support.build"
local engine = require "support.engine"
local files = require "support.files"

local dir

--- jobq in a folder of its own.
local function jobq(command, stdin)
  return engine.jobq(nil, command, { cwd = dir.path, stdin = stdin })
end

local function ok(command, stdin)
  local answer = jobq(command, stdin)
  assert.equal(0, answer.status, answer.err)
  return answer
end

before_each(function()
  dir = engine.handlers {}
end)

describe("jobq new handler", function()
  it("writes a handler that loads and runs, and what editors want", function()
    local said = ok "new handler invoice"
    assert.same({ "wrote handlers/invoice.lua", "wrote handlers/spec/invoice_spec.lua",
      "wrote handlers/config.lua", "wrote .luarc.json", "wrote .luacheckrc",
    }, { said.out:match("(.*)\n(.*)\n(.*)\n(.*)\n(.*)") })
    assert.matches("^invoice%s+handlers/invoice.lua:%d+$", ok("check").out)
    assert.matches("^done in ", ok { "run-once", "invoice", '{"name": "ann"}' }.out)
    local meta = files.read(dir.path .. ".luarc.json"):match '"(/[^"]*)"'
    assert.is_true(files.exists(meta .. "/jobq.lua"))
  end)

  it("writes over nothing", function()
    ok "new handler invoice"
    dir:write("handlers/invoice.lua", "mine")
    dir:write(".luacheckrc", "mine")
    local answer = jobq "new handler invoice"
    assert.equal(5, answer.status)
    assert.equal("jobq: 'handlers/invoice.lua' is there already\nhint: --force writes over it",
      answer.err)
    assert.equal("mine", files.read(dir.path .. "handlers/invoice.lua"))
    ok "new handler invoice --force"
    assert.not_equal("mine", files.read(dir.path .. "handlers/invoice.lua"))
    assert.equal("mine", files.read(dir.path .. ".luacheckrc"))
  end)

  it("takes a folder, and names that are names", function()
    ok "new handler invoice --dir jobs/mine/"
    assert.is_true(files.exists(dir.path .. "jobs/mine/spec/invoice_spec.lua"))
    for _, name in ipairs { "../invoice", "In", "a.b", "_x", "a'b", "-" } do
      local answer = jobq { "new", "handler", name }
      assert.equal(2, answer.status)
      assert.matches("is not the name of a handler", answer.err)
    end
    assert.equal(2, jobq({ "new", "handler", "a", "--dir", 'x"y' }).status)
    assert.is_false(files.exists(dir.path .. "handlers"))
  end)
end)

describe("jobq check", function()
  it("says what is wrong, and where", function()
    dir:write("handlers/a.lua", "return {\n  timout = 1, run = print }")
    local answer = jobq "check"
    assert.equal(3, answer.status)
    assert.equal("jobq-run: handlers/a.lua:2: unknown option 'timout' in a\n"
      .. "hint: did you mean 'timeout'?", answer.err)
  end)

  it("finds globals that do not exist, when strict", function()
    dir:write("it's/a.lua", "return { run = function() pritn(1) end }")
    assert.equal(0, jobq({ "check", "it's/" }).status)
    local answer = jobq { "check", "it's/", "--strict" }
    assert.equal(3, answer.status)
    assert.equal("jobq-run: it's/a.lua:1: unknown global 'pritn'\nhint: did you mean 'print'?",
      answer.err)
  end)

  it("takes settings", function()
    dir:write("handlers/a.lua", "require 'jobq'.config 'a.b'\nreturn { run = print }")
    assert.equal(3, jobq("check").status)
    ok "check --set a.b=1"
    dir:write("my.conf", "a.b = 1\n")
    ok "check --config my.conf"
  end)
end)

describe("jobq run-once", function()
  before_each(function()
    dir:write("handlers/a.lua", [[
      local jobq = require "jobq"
      return {
        ok = {
          args = { n = "number" },
          run = function(job)
            job.log:info("hello", { attempt = job.attempt })
            return jobq.done { n = job.args.n }
          end,
        },
        bad = { retry_delay = 7, run = function() error("no\27[2J") end },
        slow = { timeout = 0.2, run = function() jobq.sleep(100) end },
        snooze = { run = function() return jobq.snooze(4) end },
        crash = { timeout = 0.2, run = function()
          return ("x"):rep(200000):find(("x*"):rep(60) .. "y")
        end },
      }]])
  end)

  it("tells the log, the verdict and the result", function()
    local answer = ok { "run-once", "a.ok", '{"n": 1.50}', "--attempt", "2" }
    assert.matches("^done in %S+ s\n{\"n\":1.5}$", answer.out)
    assert.matches("msg=hello fields=.*attempt.*2", answer.err)
    assert.same({ n = 3 }, ok({ "run-once", "a.ok", "-", "--json" }, '{"n": 3}').json.result)
    assert.matches("^snoozed in %S+ s, again in 4 s$", ok("run-once a.snooze").out)
  end)

  it("fails as the run does", function()
    local answer = jobq "run-once a.bad"
    assert.equal(1, answer.status)
    assert.matches("^failed in %S+ s, again in 7 s\nhandlers/a.lua:10: no\\u001b%[2J\n"
      .. "stack traceback:\n  handlers/a.lua:10: in run$", answer.out)
    answer = jobq { "run-once", "a.ok", '{"n": "x"}' }
    assert.same({ 1, true },
      { answer.status, answer.out:find "\na.ok: args.n: 'x' is not a number$" ~= nil })
    assert.equal("failed", jobq("run-once a.bad --json").json.verdict)
  end)

  it("ends with the timeout of the kind, whatever the handler does", function()
    assert.matches("^stopped in .*stopped after 0.2 s", jobq("run-once a.slow").out)
    local answer = jobq "run-once a.crash"
    assert.equal(1, answer.status)
    assert.matches("killed: it ran on after its timeout of 0.2 s$", answer.out)
  end)

  it("reaches the database, and undoes it all where asked to", function()
    dir:write("handlers/b.lua", [[
      local jobq = require "jobq"
      return { run = function(job)
        jobq.must(jobq.sql.query "insert into seat values (1)")
        local taken, why, code = jobq.sql.query "insert into seat values (1)"
        jobq.must(jobq.sql.transaction(function(tx)
          tx:query "insert into seat values (2)"
          tx:transaction(function(inner)
            inner:query "insert into seat values (3)"
            return nil, "no"
          end)
          tx:enqueue "later"
        end))
        jobq.sql.transaction(function(tx)
          tx:query "insert into seat values (4)"
          return nil, "no"
        end)
        pcall(jobq.sql.transaction, function(tx)
          tx:query "insert into seat values (5)"
          error "no"
        end)
        jobq.enqueue "later"
        return jobq.done {
          code = code, seats = jobq.sql.value "select sum(number)::int from seat",
          jobs = jobq.sql.value "select count(*) from jobq.job",
        }
      end }]])
    local db = engine.database()
    db:query "create table seat (number int primary key)"
    local function count()
      return { db:value "select count(*) from seat", db:value "select count(*) from jobq.job" }
    end
    for _, words in ipairs { "run-once b --json --rollback", "run-once b --json" } do
      assert.same({ 0, 0 }, count())
      local as_owner = { dsn = db.dsn }
      local answer = engine.jobq(as_owner, words, { cwd = dir.path })
      assert.equal(0, answer.status, answer.err)
      assert.same({ code = "23505", seats = 3, jobs = 2 }, answer.json.result)
    end
    assert.same({ 2, 2 }, count())
  end)

  it("knows what is no kind, no JSON, no folder", function()
    local answer = jobq "run-once a.okk"
    assert.same({ 3, "" }, { answer.status, answer.out })
    assert.matches("define no kind 'a.okk'\nhint: did you mean 'a.ok'%?$", answer.err)
    assert.equal(2, jobq({ "run-once", "a.ok", "{" }).status)
    answer = jobq "run-once a.ok --handlers nowhere/"
    assert.same({ 3, "" }, { answer.status, answer.out })
    assert.matches("folder 'nowhere/' does not exist", answer.err)
  end)
end)

-- A plain lua5.4 cannot load modules that want a sanitizer.
local describe_plain = build.is_sanitized() and pending or describe

describe_plain("jobq test", function()
  it("is green for what new handler writes", function()
    ok "new handler invoice"
    assert.matches("\n1%.%.2$", ok("test --output TAP").out)
  end)

  it("fails with 6 when a spec does, and runs only some", function()
    dir:write("handlers/spec/a_spec.lua", "describe('a', function()\n"
      .. "it('good', function() end) it('bad', function() error 'no' end) end)")
    local answer = jobq "test --output TAP"
    assert.equal(6, answer.status)
    assert.matches("not ok %d %- a bad", answer.out)
    assert.equal("jobq: specs in 'handlers/spec' failed", answer.err)
    assert.matches("\n1%.%.1$", ok("test --output TAP --filter good").out)
  end)

  it("takes a server for databases", function()
    local db = engine.database()
    dir:write("handlers/spec/a_spec.lua", "it('asks', function()\n"
      .. "assert.equal(0, require 'jobq.testing'.database():value 'select count(*) from jobq.job')"
      .. "\nend)")
    ok { "test", "--output", "TAP", "--db", db.dsn }
    assert.is_false(files.exists(dir.path .. ".jobq"))
    assert.equal(0, db:value "select count(*) from pg_database where datname ~ '^jobq_spec_'")
    local answer = jobq { "test", "--output", "TAP", "--db", "host=/nowhere" }
    assert.equal(6, answer.status)
    assert.matches("t.database%(%): .*/nowhere", answer.out)
  end)

  it("kills its handlers everywhere", function()
    dir:write("handlers/a.lua",
      "return { run = function() require('jobq').enqueue 'next' end }")
    dir:write("handlers/spec/a_spec.lua",
      "local run = require('jobq.testing').handlers 'handlers'\nit('runs', function() run 'a' end)")
    ok "test --output TAP"
    local answer = jobq "test --output TAP --crash-everywhere"
    assert.equal(6, answer.status)
    assert.matches("killed at handlers/a.lua:1, after jobq.enqueue %(wait 1 of 1%):", answer.out)
    assert.matches("job next {}: twice instead of once", answer.out, 1, true)
  end)

  it("kills them beside a database of a plain role, too", function()
    local db = engine.database()
    db:query "create role own_spec_plain login createdb createrole"
    finally(function() db:query "drop role own_spec_plain" end)
    dir:write("handlers/a.lua",
      "return { run = function(job) require('jobq').enqueue('next', {}, job.args) end }")
    dir:write("handlers/spec/a_spec.lua", "local t = require 'jobq.testing'\n"
      .. "local run = t.handlers 'handlers'\n"
      .. "for _, args in ipairs { { unique_key = 'x' }, {} } do\n"
      .. "it(args.unique_key or 'none', function() t.database() run('a', args) end) end")
    local answer = jobq { "test", "--output", "TAP", "--crash-everywhere", "--db",
      (db.dsn:gsub("user=%S+", "user=own_spec_plain")) }
    assert.equal(6, answer.status)
    assert.matches("\nok %d %- x\n", "\n" .. answer.out)
    assert.matches("row in jobq.job next {}: twice instead of once", answer.out, 1, true)
  end)

  it("says what is missing", function()
    assert.equal(3, jobq("test").status)
    dir:write("handlers/a.lua", "return { run = print }")
    local answer = jobq "test"
    assert.equal(3, answer.status)
    assert.equal("jobq: no specs in 'handlers/spec' (0 files that end with _spec.lua)\n"
      .. "hint: jobq new handler hello --dir handlers writes one", answer.err)
  end)

  it("names the packages that are missing", function()
    ok "new handler invoice"
    local answer = engine.jobq(nil, "test", {
      cwd = dir.path, env = { LUA_PATH = "/nowhere/?.lua" },
    })
    assert.equal(1, answer.status)
    assert.matches("busted for Lua 5.4 is not installed\nhint: as root: apt%-get install lua5.4 "
      .. "lua%-busted$", answer.err)
  end)

  it("runs again when a file changes", function()
    ok "new handler invoice"
    local p = engine.process.start {
      build.program "jobq", "test", "--watch", "--output", "TAP", cwd = dir.path,
      env = { JOBQ_ADMIN_SCRIPTS = os.getenv "JOBQ_ADMIN_SCRIPTS" },
    }
    local function is_waiting(line)
      return line:find "waiting for a change"
    end
    p:wait_for_line(is_waiting, "the first round")
    assert.is_nil(p:output():find("not ok", 1, true))
    dir:write("handlers/invoice.lua", "return { run = function() end }")
    p:wait_for_line(is_waiting, "the second round")
    assert.matches("not ok", p:output())
  end)
end)
