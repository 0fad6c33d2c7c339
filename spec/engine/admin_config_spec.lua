require "support.admin"

local clock = require "support.clock"
local engine = require "support.engine"
local files = require "support.files"
local handlers = require "support.handlers"

local NOWHERE = "postgres://ann:hush@127.0.0.1:1/x"

describe("jobq", function()
  local dir

  before_each(function()
    dir = handlers {}
  end)

  -- Without a database of the spec; in its folder.
  local function jobq(command, env)
    env = env or {}
    env.XDG_CONFIG_HOME = dir.path .. "/home"
    return engine.jobq(nil, command, { cwd = dir.path, env = env })
  end

  local function values(command, env)
    local list = {}
    local answer = jobq(command .. " --json", env)
    assert.same({ 0, "" }, { answer.status, answer.err })
    for _, item in ipairs(answer.json.items) do
      list[item.name] = { item.value, item.origin }
    end
    return list
  end

  local function write_home(body)
    files.run({ "mkdir", "-p", dir.path .. "/home/jobq" }, dir.path)
    dir:write("home/jobq/jobq.conf", body)
  end

  describe("config", function()
    it("is without any settings the private postgres", function()
      assert.same({ embedded = { ".jobq/pg", "default" } }, values "config")
    end)

    it("prefers options to variables, to the file here, to that at home", function()
      write_home "dsn = host=home\nlog-level = debug\nconcurrency = 1\n"
      dir:write("jobq.conf", "concurrency = 2 # more\nsmtp.host = \"mx # 1\"\n\n# nothing\n")
      local home = dir.path .. "/home/jobq/jobq.conf"
      assert.same({
        dsn = { "host=home", home .. ":1" }, ["log-level"] = { "debug", home .. ":2" },
        concurrency = { "2", "jobq.conf:1" }, ["smtp.host"] = { "mx # 1", "jobq.conf:2" },
      }, values "config")
      local found = values("config --embedded", {
        DATABASE_URL = "host=url", JOBQ_CONCURRENCY = "3", JOBQ_SMTP_MESSAGE_ID = "x",
        JOBQ_EXECUTORS = "",
      })
      assert.same({
        ["log-level"] = { "debug", home .. ":2" }, concurrency = { "3", "JOBQ_CONCURRENCY" },
        ["smtp.host"] = { "mx # 1", "jobq.conf:2" },
        ["smtp.message_id"] = { "x", "JOBQ_SMTP_MESSAGE_ID" },
        embedded = { "yes", "--embedded" },
      }, found)
      assert.same({ "host=jobq", "JOBQ_DSN" },
        values("config", { DATABASE_URL = "host=url", JOBQ_DSN = "host=jobq" }).dsn)
      assert.same({ "host=url", "DATABASE_URL" },
        values("config", { DATABASE_URL = "host=url", PGHOST = "pg" }).dsn)
    end)

    it("reads the file that is named, alone", function()
      write_home "log-level = debug\n"
      dir:write("jobq.conf", "concurrency = 2\n")
      dir:write("other", "executors = 3\n")
      assert.same({ "3", "other:1" }, values("config --config other").executors)
      local found = values("config", { JOBQ_CONFIG = "other" })
      assert.same({ "3", "other:1" }, found.executors)
      assert.is_nil(found.concurrency)
      local answer = jobq "config --config gone"
      assert.equal(2, answer.status)
      assert.match("cannot read config file gone: No such file", answer.err)
    end)

    it("shows no secrets", function()
      dir:write("jobq.conf", "smtp.password = hush\napi.token = hush\nmail.secret = file:/run/x\n")
      local out = jobq("config --origin --dsn " .. NOWHERE).out
      assert.is_nil(out:find "hush")
      assert.match("\ndsn%s+postgres://ann:%*%*%*@127%.0%.0%.1:1/x%s+%-%-dsn\n", out)
      assert.match("\nsmtp.password%s+%*%*%*%s+jobq.conf:1", out)
      assert.match("\nmail.secret%s+file:/run/x", out)
      for _, dsn in ipairs { "host=x password=hush", "password = 'hu sh' host=x",
        "postgres://h/x?password=hush&a=b" } do
        assert.is_nil(jobq({ "config", "--dsn", dsn }).out:find "hu")
      end
    end)

    describe("with a folder of handlers", function()
      local CONFIG = [[return {
  crm = {
    url = "url",
    pages = { "integer", default = 10 },
    names = { "string[]", default = { "a", "b" } },
    key = { "string?", secret = true },
  },
}]]

      it("has also what it declares", function()
        dir:write("handlers/config.lua", CONFIG)
        dir:write("jobq.conf", "crm.url = http://x\nsmtp.host = mx1\n")
        assert.same({
          ["crm.url"] = { "http://x", "jobq.conf:1" },
          ["crm.pages"] = { "7", "JOBQ_CRM_PAGES" },
          ["crm.names"] = { '["a","b"]', "handlers/config.lua:5" },
          ["crm.key"] = { "***", "JOBQ_CRM_KEY" },
          ["smtp.host"] = { "mx1", "jobq.conf:2" },
          embedded = { ".jobq/pg", "default" },
        }, values("config handlers", { JOBQ_CRM_PAGES = "7", JOBQ_CRM_KEY = "hush" }))
        local out = jobq("config --origin handlers/").out
        assert.match("\ncrm.pages%s+10%s+handlers/config.lua:4\n", out)
      end)

      it("says where secrets are, not what they are", function()
        dir:write("handlers/config.lua", CONFIG)
        dir:write("jobq.conf", "crm.url = http://x\ncrm.key = file:/run/x\n"
          .. "database.crm = postgres://ann:hush@db/crm\ndatabase.old = file:/run/y\n")
        local found = values "config handlers"
        assert.same({ "file:/run/x", "jobq.conf:2" }, found["crm.key"])
        assert.same({ "postgres://ann:***@db/crm", "jobq.conf:3" }, found["database.crm"])
        assert.same({ "file:/run/y", "jobq.conf:4" }, found["database.old"])
        found = values("config handlers", { JOBQ_CRM_KEY = "env:KEY" })
        assert.same({ "env:KEY", "JOBQ_CRM_KEY" }, found["crm.key"])
      end)

      it("says what is missing or wrong there", function()
        dir:write("handlers/config.lua", CONFIG)
        local answer = jobq("config handlers", { JOBQ_CRM_PAGES = "x" })
        assert.equal(6, answer.status)
        assert.equal("jobq: handlers/config.lua:4: setting crm.pages: 'x' is not an integer\n"
          .. "handlers/config.lua:3: setting crm.url: missing", answer.err)
        assert.match("\ncrm.pages%s+x\n", answer.out)
        dir:write("handlers/config.lua", "return {\n x = 1 }")
        answer = jobq "config handlers"
        assert.same({ 3, "" }, { answer.status, answer.out })
        assert.match("^jobq: handlers/config.lua:2: 'x' is no group of settings", answer.err)
        answer = jobq "config gone"
        assert.same({ 2, "jobq: folder 'gone' does not exist" }, { answer.status, answer.err })
      end)

      it("goes without a file", function()
        dir:write("handlers/a.lua", "")
        assert.same({ embedded = { ".jobq/pg", "default" } }, values "config handlers")
      end)
    end)

    for body, expected in pairs {
      ["concurency = 5\n"] = "jobq.conf:1: unknown name 'concurency'\nhint: did you mean 'conc",
      ["\nhello\n"] = "jobq.conf:2: expected NAME = VALUE",
      ['name = "open\n'] = "jobq.conf:1: expected NAME = VALUE",
      ['name = "a" b\n'] = "jobq.conf:1: expected NAME = VALUE",
      ["dsn = x\nembedded = y\n"] = "jobq.conf:2 excludes jobq.conf:1",
      ["embedded = no\n"] = "jobq.conf:1: embedded: 'no' is not a folder",
    } do
      it("refuses as jobq-run does: " .. body:gsub("%s+", " "), function()
        dir:write("jobq.conf", body)
        local answer = jobq "config"
        assert.same({ 2, "" }, { answer.status, answer.out })
        assert.is_truthy(answer.err:find(expected, 1, true), answer.err)
        dir:write("a.lua", "return { run = function() end }")
        local p = engine.run { "--check", ".", cwd = dir.path }
        assert.equal(2, p:wait())
        assert.is_truthy(p:errors():find(expected, 1, true), p:errors())
        assert.equal(0, jobq("help").status)
      end)
    end

    it("knows the options that jobq-run has", function()
      local p = engine.run { "--help" }
      assert.equal(0, p:wait())
      local names = {}
      for name in p:output():gmatch "\n  %-%-([%l-]+)" do
        names[name] = true
      end
      names.set = nil -- of the command line only
      local ours = {}
      for _, name in ipairs(require("_config").NAMES) do
        ours[name] = true
      end
      assert.same(names, ours)
    end)

    it("is what other commands go by", function()
      local db = engine.database()
      dir:write("jobq.conf", ("dsn = %s\n"):format(db.dsn))
      assert.equal(0, jobq("enqueue a").status)
      assert.equal(1, db:value "select count(*) from jobq.ready")
      dir:write("jobq.conf", "dsn = postgres://nobody@127.0.0.1:1/x\n")
      local answer = jobq "jobs"
      assert.same({ 4, "jobq: cannot reach postgres at 127.0.0.1:1: connection refused\n" ..
        "hint: the dsn is from jobq.conf:1; jobq doctor checks it step by step" },
        { answer.status, answer.err })
    end)
  end)

  describe("doctor", function()
    local db

    local function states(command, env)
      local list = {}
      local answer = engine.jobq(db, (command or "doctor") .. " --json",
        { cwd = dir.path, env = env })
      for _, item in ipairs(answer.json.items) do
        list[item.name] = item.state
      end
      return list, answer
    end

    before_each(function()
      db = nil
    end)

    it("finds nothing wrong where nothing is", function()
      db = engine.database()
      local w = engine.worker(db, { ["a.lua"] = "return { run = function() end }" },
        { executors = 1 })
      local list, answer = states()
      list.settings, list.disk = nil, nil -- of the server of specs
      assert.same({ 0, "" }, { answer.status, answer.err })
      for name, state in pairs(list) do
        assert.equal("ok", state, name)
      end
      local out = engine.jobq(db, "doctor").out
      assert.match("^ok     dsn          it is from JOBQ_DSN\nok     connection   database ", out)
      assert.match("\nok     workers      1 worker alive\n", out)
      assert.equal(0, w:stop())
    end)

    it("stops at what all else needs", function()
      local answer = jobq "doctor"
      assert.equal(6, answer.status)
      assert.match("^fail   dsn          no dsn is given.*\n +pass %-%-dsn DSN", answer.out)
      assert.match("^jobq: 1 problem found\nhint: jobq doctor %-%-fix", answer.err)
      answer = jobq("doctor --dsn " .. NOWHERE)
      assert.equal(6, answer.status)
      assert.match("\nfail   connection   .*connection refused\n +is postgres running", answer.out)
      assert.is_nil(answer.out:find "schema")
    end)

    it("tells a wrong user, a wrong database", function()
      db = engine.database()
      local answer = jobq { "doctor", "--dsn", (db.dsn:gsub("dbname=%S+", "dbname=gone")) }
      assert.match('database "gone" does not exist\n +is the database in the dsn right', answer.out)
      answer = jobq { "doctor", "--dsn", (db.dsn:gsub("user=%S+", "user=gone")) }
      assert.match('role "gone" does not exist\n +is the user in the dsn right', answer.out)
    end)

    it("mends a schema that is missing, with --fix", function()
      db = engine.database "empty"
      local list, answer = states()
      assert.same({ "fail", 6 }, { list.schema, answer.status })
      list, answer = states "doctor --fix"
      assert.same({ "fixed", 0 }, { list.schema, answer.status })
      assert.equal("ok", (states()).schema)
    end)

    it("warns of workers that are silent, broken or missing, and of orphans", function()
      db = engine.database()
      assert.equal("warn", (states()).workers)
      db:enqueue { "lost" }
      db:query [[insert into jobq.worker (pid, host, name, version, concurrency, seen_at)
        values (1, 'nowhere', 'gone', '0', 1, now() - interval '6 min')]]
      local list, answer = states()
      assert.same({ "warn", "warn", 0 }, { list.workers, list.kinds, answer.status })
      local out = engine.jobq(db, "doctor").out
      assert.match("1 worker alive, 1 of them silent", out)
      assert.match("no living worker runs 1 waiting job of 1 kind: lost", out)
      engine.jobq(db, "doctor --fix")
      assert.equal("dead", db:value "select state from jobq.worker")
      db:query [[update jobq.worker set state = 'running', seen_at = now(), load_error = 'a.lua:1']]
      assert.match("but gone keeps old handlers: a.lua:1", engine.jobq(db, "doctor").out)
    end)

    it("warns of days that are missing, and makes them", function()
      db = engine.database()
      for _, row in ipairs(db:query [[select c.oid::regclass::text as name from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'jobq.finished_completed'::regclass and c.relname ~ '\d{8}$']]) do
        db:query("drop table " .. row.name)
      end
      assert.equal("warn", (states()).days)
      assert.equal("fixed", (states "doctor --fix").days)
    end)

    it("sees a clock that is wrong", function()
      db = engine.database()
      finally(clock.forget)
      local p = engine.process.start {
        require("support.build").program "jobq", "doctor",
        env = clock.env {
          JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = os.getenv "JOBQ_ADMIN_SCRIPTS", FAKETIME = "+30m",
        },
      }
      assert.equal(0, p:wait())
      assert.match("warn   clock        this machine and the database differ by %d+m", p:output())
    end)

    it("tells a role what it may not", function()
      db = engine.database()
      db:query "create role blind login in role jobq_producer"
      finally(function() db:query "drop role blind" end)
      local answer = engine.jobq({ dsn = db.dsn:gsub("user=%w+", "user=blind") }, "doctor")
      assert.equal(6, answer.status)
      assert.match('role blind may not look at jobs\n +as the owner: grant jobq_reader to "blind"',
        answer.out)
    end)
  end)

  describe("health", function()
    it("says whether the database fits, and somebody is there", function()
      local db = engine.database()
      assert.same({ 0, "ok" }, { engine.jobq(db, "health").status, engine.jobq(db, "health").out })
      local answer = engine.jobq(db, "health --ready")
      assert.same({ 6, "" }, { answer.status, answer.out })
      assert.match("^jobq: no worker is alive", answer.err)
      local w = engine.worker(db, { ["a.lua"] = "return { run = function() end }" },
        { executors = 1 })
      assert.equal("ok, 1 worker", engine.jobq(db, "health --ready").out)
      assert.same({ status = "ok", workers = 1 }, engine.jobq(db, "health --ready --json").json)
      db:query "update jobq.worker set load_error = 'x'"
      assert.equal(6, engine.jobq(db, "health --ready").status)
      assert.equal(0, w:stop())
      assert.equal(7, engine.jobq(engine.database "empty", "health").status)
      assert.equal(4, jobq("health --dsn " .. NOWHERE).status)
    end)
  end)
end)
