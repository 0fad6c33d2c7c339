local uv = require "luv"
local clock = require "support.clock"
local engine = require "support.engine"
local files = require "support.files"
local pair = require "support.pair"

local OK = "return { run = function() end }"

describe("jobq-run", function()
  local function run(words)
    local w = engine.run(words)
    return w:wait(), w:errors(), w:output()
  end

  local function with(db, words)
    words.env = { JOBQ_DSN = db.dsn }
    return run(words)
  end

  describe("exits 2 and names", function()
    for words, expected in pairs {
      ["--concurrency=ten x/"] = { "%-%-concurrency", "'ten'", "integer from 1 to" },
      ["--poll-interval=5min x/"] = { "%-%-poll%-interval", "'5min'", "hint: write 500ms" },
      ["--concurency=10 x/"] = { "concurency", "did you mean '%-%-concurrency'" },
      ["--log-format=xml x/"] = { "'xml'", "logfmt" },
      [""] = { "HANDLERS" },
    } do
      it("what is wrong in: " .. words, function()
        local list = {}
        for word in words:gmatch "%S+" do
          table.insert(list, word)
        end
        local status, errors, output = run(list)
        assert.equal(2, status)
        assert.equal("", output)
        for _, part in ipairs(expected) do
          assert.match(part, errors)
        end
      end)
    end
  end)

  describe("exits 3 for", function()
    local db

    before_each(function()
      db = engine.database()
    end)

    it("a folder that is missing", function()
      local status, errors = with(db, { "/nowhere/handlers/" })
      assert.equal(3, status)
      assert.match("'/nowhere/handlers/' does not exist", errors)
    end)

    it("a folder without handlers", function()
      local status, errors = with(db, { engine.handlers({}).path })
      assert.equal(3, status)
      assert.match("no handlers in '", errors)
    end)

    for name, case in pairs {
      ["a syntax error"] = { "return {\n  a = 1\n  b = 2\n}\n", "x.lua:3: " },
      ["an unknown option"] = { "return { run = print, timout = 3 }", "did you mean 'timeout'" },
      ["a global write"] = { "count = 0\nreturn { run = print }", "x.lua:1: .*global 'count'" },
      ["a file without a kind"] = { "return {}", "x.lua" },
    } do
      it(name .. ", with file and line", function()
        local status, errors = with(db, { engine.handlers({ ["x.lua"] = case[1] }).path })
        assert.equal(3, status)
        assert.match(case[2], errors)
        assert.is_nil(errors:find("stack traceback", 1, true))
      end)
    end

    it("a kind that two files define", function()
      local status, errors = with(db, { engine.handlers({
        ["email.lua"] = "return { send = { run = print } }",
        ["email.send.lua"] = OK,
      }).path })
      assert.equal(3, status)
      assert.match("email", errors)
    end)
  end)

  describe("says in one line, with a remedy, that", function()
    it("the schema is missing, and exits 7", function()
      local db = engine.database "empty"
      local status, errors = with(db, { engine.handlers({ ["ok.lua"] = OK }).path })
      assert.equal(7, status)
      assert.match("jobq migrate", errors)
    end)

    it("the role has no rights, and exits 5", function()
      local db = engine.database()
      db:query "create role stranger login"
      finally(function()
        db:query "drop role stranger"
      end)
      local status, errors = run {
        engine.handlers({ ["ok.lua"] = OK }).path,
        env = { JOBQ_DSN = db.dsn:gsub("user=%w+", "user=stranger") },
      }
      assert.equal(5, status)
      assert.match("jobq_worker", errors)
    end)

    for what, dsn in pairs {
      ["the dsn cannot be read"] = "postgres://[",
      ["the dsn has a value that libpq does not know"] = "host=/tmp sslmode=often",
    } do
      it(what .. ", and exits 2", function()
        local status, errors = run { "--dsn", dsn, engine.handlers({ ["ok.lua"] = OK }).path }
        assert.equal(2, status)
        assert.match("hint: the dsn is from %-%-dsn", errors)
      end)
    end

    it("the database does not exist, and exits 4", function()
      local db = engine.database()
      local status, errors = run {
        engine.handlers({ ["ok.lua"] = OK }).path,
        env = { JOBQ_DSN = db.dsn:gsub("dbname=%w+", "dbname=nowhere") },
      }
      assert.equal(4, status)
      assert.match("nowhere", errors)
      assert.match("hint: the dsn is from JOBQ_DSN", errors)
    end)

    it("the schema is older than the program, and exits 7", function()
      local db = engine.database()
      db:query "delete from jobq.migration where number = (select max(number) from jobq.migration)"
      local status, errors = with(db, { engine.handlers({ ["ok.lua"] = OK }).path })
      assert.equal(7, status)
      assert.match("database schema is %d+, at least %d+ is needed\nhint: jobq migrate", errors)
      assert.match("jobq migrate %-%-print %-%-from %d+ | psql", errors)
    end)

    it("the schema is too new for the program, and exits 7", function()
      local db = engine.database()
      db:query [[
        insert into jobq.migration (number, name, min_worker) values (9999, 'later', '99.0.0')]]
      local status, errors = with(db, { engine.handlers({ ["ok.lua"] = OK }).path })
      assert.equal(7, status)
      assert.match("database schema 9999 needs version 99.0.0 or later, this is", errors)
      assert.match("hint: upgrade jobq%-run", errors)
    end)

    it("the server is a standby, and exits 9", function()
      local servers = pair.start()
      finally(function() servers:close() end)
      local status, errors = with({ dsn = servers:dsn "b" },
        { engine.handlers({ ["ok.lua"] = OK }).path })
      assert.equal(9, status)
      assert.match("standby", errors)
      assert.match("hint: .*target_session_attrs=read%-write.*JOBQ_DSN", errors)
    end)

    it("the database may only be read, and exits 9", function()
      local db = engine.database()
      db:query(("alter database %s set default_transaction_read_only = on"):format(db.name))
      local status, errors = with(db, { engine.handlers({ ["ok.lua"] = OK }).path })
      assert.equal(9, status)
      assert.match("hint: .*default_transaction_read_only", errors)
    end)
  end)

  it("runs on a newer schema that lets it", function()
    local db = engine.database()
    db:query "insert into jobq.migration (number, name) values (9999, 'later')"
    local w = engine.worker(db, { ["ok.lua"] = OK })
    db:wait_for(db:enqueue { "ok" }, "completed")
    assert.equal(0, w:stop())
  end)

  describe("with a name that a living worker has", function()
    local texts = { ["ok.lua"] = OK }
    local db, first

    before_each(function()
      db = engine.database()
      first = engine.worker(db, texts, { name = "web-1" })
    end)

    local function check_refused()
      local second = engine.start(db, texts, { name = "web-1" })
      assert.equal(8, second:wait())
      assert.match("another worker named 'web%-1' is running %(.*pid " .. first.pid .. "%)",
        second:errors())
      assert.match("\nhint: ", second:errors())
      assert.equal(1, db:value "select count(*) from jobq.worker where state = 'running'")
    end

    it("exits 8, and the other goes on", function()
      check_refused()
      db:wait_for(db:enqueue { "ok" }, "completed")
      assert.equal(0, first:stop())
    end)

    it("exits 8 also when the other has been cut off and is back", function()
      local cut = db:value [[
        select array_agg(pid) from (
          select pid, pg_terminate_backend(pid) from pg_stat_activity
          where application_name like 'jobq-run%' and datname = current_database()) x]]
      db:wait_until("it holds its locks again", [[
        select count(*) = 2 from pg_locks
        where locktype = 'advisory' and granted and pid <> all ($1::int[])
          and database = (select oid from pg_database where datname = current_database())]], cut)
      check_refused()
      assert.equal(0, first:stop())
    end)

    for _, ending in ipairs { "stop", "kill" } do
      it("starts at once after a " .. ending .. " of the other", function()
        first[ending](first)
        assert.equal(0, engine.worker(db, texts, { name = "web-1" }):stop())
      end)
    end

    -- The server may take a moment to notice that the other is gone.
    it("is not locked out by the session of one that was killed", function()
      local session = db:value [[
        select pid from pg_stat_activity
        where application_name = 'jobq-run upkeep' and datname = current_database()]]
      assert(uv.kill(session, "sigstop"))
      finally(function() uv.kill(session, "sigcont") end)
      first:kill()
      local second = engine.start(db, texts, { name = "web-1" })
      db:wait_until("it asks for the name", [[
        select count(*) = 1 from pg_stat_activity
        where query like '-- take_name: %' and state = 'idle' and datname = current_database()]])
      assert(uv.kill(session, "sigcont"))
      second:expect "worker ready"
      assert.equal(0, second:stop())
    end)
  end)

  -- A server that knows only how to refuse, in German. The last answer is for all that come later.
  describe("told by a server that speaks another language", function()
    local dir, listener, answers, asked

    before_each(function()
      dir = engine.handlers { ["ok.lua"] = OK }
      listener, answers, asked = uv.new_pipe(), nil, 0
      assert(listener:bind(dir.path .. ".s.PGSQL.5432"))
      listener:listen(16, function()
        local peer = uv.new_pipe()
        listener:accept(peer)
        peer:read_start(function(_, data)
          if not data then
            return peer:is_closing() or peer:close()
          end
          asked = asked + 1
          local sqlstate = answers[math.min(asked, #answers)]
          if sqlstate == "md5" then
            return peer:write("R" .. string.pack(">I4I4c4", 12, 5, "salt"))
          end
          local fields = ("SSCHWERWIEGEND\0VFATAL\0C%s\0Mdas geht jetzt nicht\0\0"):format(sqlstate)
          peer:write("E" .. string.pack(">I4", #fields + 4) .. fields, function()
            return peer:is_closing() or peer:close()
          end)
        end)
      end)
    end)

    after_each(function()
      listener:close()
    end)

    local function start(other_hosts)
      return engine.run {
        "--dsn", ("host=%s%s dbname=x user=y"):format(other_hosts or "", dir.path), dir.path,
        env = { JOBQ_LOG_FORMAT = "logfmt" },
      }
    end

    for what, list in pairs {
      ["that it is starting"] = { "57P03" },
      ["that it is starting, then that it is full"] = { "57P03", "53300" },
      ["that it is shutting down"] = { "57P01" },
    } do
      it(what .. ", goes on trying", function()
        answers = list
        local w = start()
        w:expect "cannot reach the database, trying again"
        w:wait_until(function() return asked > 12 end, "some more tries")
        assert.is_true(w:is_running())
        assert.equal(0, w:stop())
      end)
    end

    for what, sqlstate in pairs {
      ["that the password is wrong"] = "28P01",
      ["that pg_hba.conf keeps it out"] = "28000",
      ["that there is no such database"] = "3D000",
      ["that the role may not connect"] = "42501",
    } do
      it(what .. ", exits 4", function()
        answers = { sqlstate }
        local w = start()
        assert.equal(4, w:wait())
        assert.match("das geht jetzt nicht\nhint: the dsn is from %-%-dsn", w:errors())
      end)
    end

    it("that it wants a password, where none is given, exits 4", function()
      answers = { "md5" }
      local w = start()
      assert.equal(4, w:wait())
      assert.match("password.*\nhint: ", w:errors())
    end)

    it("behind a host that is away, exits 4 and says so of both", function()
      answers = { "28P01" }
      local w = start "/nowhere,"
      assert.equal(4, w:wait())
      assert.match("^[^\n]*/nowhere/[^\n]*; [^\n]*das geht jetzt nicht\nhint: ", w:errors())
    end)
  end)

  it("waits for a server that is full", function()
    local db = engine.database()
    db:query "create role crowded login connection limit 0 in role jobq_worker"
    finally(function() db:query "drop role crowded" end)
    local w = engine.start({ dsn = db.dsn:gsub("user=%w+", "user=crowded") }, { ["ok.lua"] = OK })
    w:expect "cannot reach the database, trying again"
    db:query "alter role crowded connection limit -1"
    w:expect "worker ready"
    assert.equal(0, w:stop())
  end)

  describe("under a clock that is far off", function()
    after_each(clock.forget)

    for _, offset in ipairs { "-3d", "+3d" } do
      it(("warns once, and runs jobs when they are due (%s)"):format(offset), function()
        local db = engine.database()
        local w = engine.run {
          "--executors=1", engine.handlers({ ["ok.lua"] = OK }).path,
          env = clock.env {
            JOBQ_DSN = db.dsn, JOBQ_LOG_FORMAT = "logfmt", FAKETIME = offset,
          },
        }
        local fields = w:expect "the clocks of this machine and of the database differ"
        assert.is_true(math.abs(math.abs(fields.seconds) - 3 * 86400) < 60)
        assert.is_true(fields.here < fields.database == (offset == "-3d"))
        w:expect "worker ready"
        local id = db:enqueue { "ok", delay = "1s" }
        db:wait_for(id, "completed")
        assert.is_true(db:value(
          "select finished_at between run_at and now() from jobq.job where id = $1", id))
        db:query [[
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name like 'jobq-run%' and datname = current_database()]]
        w:expect "database back"
        db:wait_for(db:enqueue { "ok" }, "completed")
        assert.equal(0, w:stop())
        local _, warnings = w:errors():gsub("clocks of this machine and of the database differ", "")
        assert.equal(1, warnings)
      end)
    end
  end)

  it("loads, reports and leaves with --check", function()
    local db = engine.database()
    assert.equal(0, (with(db, { "--check", engine.handlers({ ["ok.lua"] = OK }).path })))
    local status = with(db, { "--check", engine.handlers({ ["ok.lua"] = "return {" }).path })
    assert.equal(3, status)
  end)

  -- Its executor is told to leave and killed at once: it may be gone before the word is written.
  it("outlives an executor that has left before it, with --check", function()
    local SIGPIPE = 13
    local handlers = engine.handlers { ["slow.lua"] = "while true do end" }
    local p = engine.run { "--check", handlers.path }
    local executor
    engine.process.wait_until(function()
      executor = p:children("%-%-executor")[1]
      return executor
    end, "an executor")
    local status = assert(files.read(("/proc/%d/status"):format(p.pid)))
    local ignored = tonumber(status:match "SigIgn:%s*(%x+)", 16)
    p:kill()
    assert.equal(1, ignored >> (SIGPIPE - 1) & 1)
    -- It may be so new that it has not even asked to be told of the end of its parent.
    engine.process.wait_until(function()
      local now = files.read(("/proc/%d/status"):format(executor))
      return not now or now:find "State:%s*Z"
    end, "the end of the executor")
  end)

  it("has a page of help and a version, on stdout", function()
    local status, _, output = run { "--help" }
    assert.equal(0, status)
    assert.match("^Usage: jobq%-run", output)
    status, _, output = run { "--version" }
    assert.equal(0, status)
    assert.match("^jobq%-run %d+%.%d+%.%d+", output)
  end)
end)
