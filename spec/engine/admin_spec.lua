local uv = require "luv"
local engine = require "support.engine"
local samples = require "support.samples"

local BROKEN = [[
return {
  max_attempts = 1,
  run = function(job)
    job.log:info("about to fail", { to = "ann", n = 3 })
    local order = {}
    return order.customer.name
  end,
}
]]

local IS_TIME = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+Z$"

describe("jobq", function()
  local db

  before_each(function()
    db = engine.database()
  end)

  local function jobq(command, options)
    return engine.jobq(db, command, options)
  end

  -- Runs it and wants it to succeed without a word on stderr.
  local function ok(command, options)
    local answer = jobq(command, options)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  describe("enqueue", function()
    it("prints the id, and takes every option", function()
      local id = ok { "enqueue", "email.send", '{"to": "ann"}', "--queue", "bulk",
        "--priority=2", "--delay", "10m", "--tag", "a b", "--tag=c", "--unique", "k",
        "--timeout", "90s", "--max-attempts", "4" }.out
      local job = db:job(tonumber(id))
      assert.same({ "email.send", "bulk", 2, 4, { "a b", "c" } },
        { job.kind, job.queue, job.priority, job.max_attempts, job.tags })
      assert.is_true(db:value("select run_at > now() + interval '9 minutes' and " ..
        "(meta ->> 'timeout')::float8 = 90 from jobq.find($1::bigint)", id))
    end)

    it("reads arguments from stdin, and ids are texts in JSON", function()
      local answer = ok("enqueue a - --json", { stdin = '{"n": 9223372036854775807}' })
      assert.equal("1", answer.json.id)
      assert.equal('{"n": 9223372036854775807}', db:job(1).args)
    end)

    it("takes a point in time", function()
      ok "enqueue a --at 2042-02-03T04:05:06Z"
      assert.equal("2042-02-03T04:05:06.000000Z", ok("job 1 --json").json.run_at)
    end)

    it("says which job holds a unique key already", function()
      ok "enqueue a --unique k"
      local answer = jobq "enqueue a --unique k"
      assert.same({ 0, "1" }, { answer.status, answer.out })
      assert.match('job 1 already holds unique_key "k"', answer.err, 1, true)
    end)

    it("says what became of a job whose unique key is taken", function()
      local words = "enqueue a {\"to\":\"ann\",\"n\":[1]} --unique-field to --unique-until start"
      assert.equal("enqueued", ok(words .. " --json").json.happened)
      local answer = jobq(words .. " --on-conflict append --json")
      assert.same({ "1", "appended" }, { answer.json.id, answer.json.happened })
      assert.match("job 1 already held the key of to, and what was new is appended", answer.err)
      assert.equal('{"n": [1, 1], "to": "ann"}', db:job(1).args)
      answer = jobq(words .. " --on-conflict debounce --delay 10m --max-wait 1h")
      assert.match("job 1 already held the key of to, .* is put off", answer.err)
      answer = jobq(words .. " --on-conflict supersede --unique-for 1h")
      assert.match('on_conflict "supersede" cannot go with unique_for', answer.err)
      answer = jobq "enqueue a --unique-for 1h --unique-aligned --unique k --on-conflict drop"
      assert.match("'drop' is none of keep, replace", answer.err)
    end)

    for words, expected in pairs {
      ["enqueue"] = "KIND is missing",
      ["enqueue a {to:1}"] = "JSON: .*line 1, column 2",
      ["enqueue a [1]"] = "expected a JSON object",
      ["enqueue a --priority 12"] = "'12' is not an integer from 0 to 9",
      ["enqueue a --delay soon"] = "'soon' is not a duration",
      ["enqueue a --at whenever"] = "%-%-at: .*\"whenever\"",
      ["enqueue a --prioritty 3"] = "did you mean '%-%-priority'%?",
      ["enqueue a {} {}"] = "unexpected argument",
    } do
      it("refuses: " .. words, function()
        local answer = jobq(words)
        assert.equal(2, answer.status)
        assert.equal("", answer.out)
        assert.match(expected, answer.err)
        assert.equal(0, db:value "select count(*) from jobq.ready")
      end)
    end
  end)

  describe("jobs", function()
    before_each(function()
      for _, kind in ipairs { "email.send", "email.digest", "file_x.a", "fileyx.a" } do
        db:enqueue { kind, queue = kind:match "^%a+", tags = { kind } }
      end
      db:query "select jobq.cancel(2)"
    end)

    local function kinds(command)
      local list = {}
      for _, item in ipairs(ok(command .. " --json").json.items) do
        table.insert(list, item.kind)
      end
      return list
    end

    it("lists the newest first, as a table", function()
      local lines = {}
      for line in (ok("jobs").out .. "\n"):gmatch "(.-)\n" do
        table.insert(lines, line)
      end
      assert.match("^id%s+kind%s+status%s+attempt%s+queue%s+when$", lines[1])
      assert.match("^ 4%s+fileyx.a%s+pending%s+0/3%s+fileyx%s+due", lines[2])
      assert.match("^ 2%s+email.digest%s+cancelled%s+0/3%s+email", lines[4])
    end)

    it("filters", function()
      assert.same({ "email.digest", "email.send" }, kinds "jobs --kind email.*")
      assert.same({ "file_x.a" }, kinds "jobs --kind file_*")
      assert.same({ "email.digest" }, kinds "jobs --status cancelled")
      assert.same({ "fileyx.a" }, kinds "jobs --queue fileyx")
      assert.same({ "email.send" }, kinds "jobs --tag email.send")
      assert.same({}, kinds "jobs --kind a'b%")
    end)

    it("pages", function()
      local page = ok("jobs --limit 3 --json").json
      assert.same({ 3, "2" }, { #page.items, page.next })
      page = ok("jobs --limit 3 --json --next 2").json
      assert.same({ 1, "" }, { #page.items, page.next })
    end)

    it("says so when there are none", function()
      local answer = jobq "jobs --status failed"
      assert.same({ 0, "", "jobq: no jobs" }, { answer.status, answer.out, answer.err })
    end)
  end)

  describe("job", function()
    it("tells all of a failed job", function()
      local w = engine.worker(db, { ["broken.lua"] = BROKEN }, { executors = 1 })
      db:wait_for(db:enqueue { "broken", args = '{"x": 1.50}' }, "failed")
      assert.equal(0, w:stop())

      local page = jobq("job 1").out
      assert.match("^job 1  broken  failed  attempt 1 of 1\n", page)
      assert.match('\nargs     {"x": 1.50}\n', page)
      assert.match("\nerror    .-broken.lua:6: attempt to index a nil value", page)
      assert.match("info   about to fail", page)
      local traceback = ok("job 1 --traceback").out
      assert.match("broken.lua:6: attempt to index", traceback)
      assert.match("\n  %S*broken.lua:6  in", traceback)
      assert.match("about to fail", ok("job 1 --log").out)
      assert.equal('{"x": 1.50}', ok("job 1 --args").out)

      local job = ok("job 1 --json").json
      assert.same({ "1", "failed", 1 }, { job.id, job.status, #job.attempts })
      assert.equal(w.ready.worker_id, job.worker_id)
      assert.match(IS_TIME, job.finished_at)
      assert.match("stack traceback:", job.error)
      assert.equal("about to fail", job.log[1].message)
      assert.equal("ann", job.log[1].fields.to)
    end)

    it("that does not exist exits 3", function()
      local answer = jobq "job 999"
      assert.same({ 3, "" }, { answer.status, answer.out })
      assert.match("^jobq: job 999 does not exist\nhint: ", answer.err)
      answer = jobq "job 999 --json"
      assert.equal(3, answer.status)
      assert.same({ "not_found", "job 999 does not exist" },
        { answer.error.code, answer.error.message })
    end)

    it("shows what a terminal would obey instead of sending it there", function()
      db:enqueue { "evil\27[2J", args = '{"text": "\\u001b[2J\\u009b2J"}', queue = "a\nb" }
      for _, command in ipairs { "job 1", "jobs", "stats", "job 1 --args", "job 1 --json" } do
        local text = ok(command).out
        assert.is_nil(text:find "[\27\x7f]")
        assert.is_nil(text:find "\u{9b}")
      end
    end)
  end)

  describe("retry and cancel", function()
    it("say what became of each job", function()
      db:enqueue { "a" }
      db:enqueue { "b" }
      assert.equal("job 1 cancelled\njob 2 cancelled", ok("cancel 1 2").out)
      assert.equal("job 1 is pending again", ok("retry 1").out)
      assert.equal("pending", db:job(1).status)
      assert.same({ id = "2", status = "pending" }, ok("retry 2 --json").json.items[1])
    end)

    it("refuse with exit status 5 what cannot be, and know what is missing", function()
      db:enqueue { "a" }
      local answer = jobq "retry 1"
      assert.same({ 5, "jobq: job 1 is pending, expected failed, cancelled or completed" },
        { answer.status, answer.err })
      assert.equal(3, jobq("retry 7").status)
      assert.equal(3, jobq("cancel 7").status)
    end)

    it("ask a running job to stop", function()
      local notes = samples.notes()
      local w = engine.worker(db, { ["note.lua"] = samples.note }, { executors = 1 })
      local id = db:enqueue { "note.slow", args = notes:args() }
      notes:wait_for(1, w)
      assert.equal("job 1 is processing and was asked to stop", ok("cancel " .. id).out)
      db:wait_for(id, "cancelled")
      assert.equal(0, w:stop())
    end)
  end)

  describe("stats and workers", function()
    it("count jobs by queue and kind", function()
      db:enqueue { "a" }
      db:enqueue { "a" }
      db:enqueue { "b", queue = "bulk" }
      local out = ok("stats").out
      assert.match("bulk%s+b%s+1%s+0%s+0%s.*nobody", out)
      assert.match("default%s+a%s+2%s+0%s+0%s", out)
      local item = ok("stats --json").json.items[1]
      assert.same({ "bulk", "b", "pending", 1, false },
        { item.queue, item.kind, item.status, item.jobs, item.known })
    end)

    it("count them by kind, queue or hour", function()
      for _, kind in ipairs { "a", "a", "b" } do
        db:enqueue { kind }
      end
      db:enqueue { "a", queue = "bulk" }
      db:query "select jobq.cancel(1)"
      db:query "select jobq.cancel(4)"
      db:query [[update jobq.finished set status = 'completed', started_at = now() - interval '4 s',
        finished_at = now() where id = 1]]
      db:query [[update jobq.finished set status = 'completed', started_at = now() - interval '8 s',
        finished_at = now() where id = 4]]
      assert.match("^kind%s+pending%s+completed%s+failed%s+oldest%s+mean%s+run by\n" ..
        "a%s+1%s+2%s+0%s.*%s6s%s+nobody\nb%s+1%s+0%s+0", ok("stats --by kind").out)
      assert.match("\nbulk%s+0%s+1%s+0%s+8s\ndefault%s+2%s+1%s+0", ok("stats --by queue").out)
      local hour = ok("stats --by hour --json").json.items[1]
      assert.same({ "completed", 2, 6 }, { hour.status, hour.jobs, hour.mean_seconds })
      assert.match("^%d%d%d%d%-%d%d%-%d%dT%d%d:00:00", hour.hour)
      assert.match("^hour %(UTC%)%s+completed%s+failed%s+mean\n%d+%-%d+%-%d+ %d%d:00%s+2%s+0%s+6s$",
        ok("stats --by hour").out)
      assert.match("'day' is none of kind, queue, hour", jobq("stats --by day").err)
    end)

    it("show workers, those that are gone with --all", function()
      assert.equal("jobq: no workers; start one: jobq-run handlers/", jobq("workers").err)
      local w = engine.worker(db, { ["a.lua"] = "return { run = function() end }" },
        { executors = 1, name = "web-1", heartbeat_interval = "50ms" })
      db:wait_for(db:enqueue { "a" }, "completed")
      db:wait_until("a heartbeat tells it", "select processed = 1 from jobq.worker_status")
      assert.match("web%-1%s+running%s.*0 / 100%s+1%s+0%s", ok("workers").out)
      local item = ok("workers --json").json.items[1]
      assert.same({ tostring(w.id), "web-1", "running", 1, 100 },
        { item.id, item.name, item.state, item.succeeded, item.concurrency })
      assert.equal(0, w:stop())
      assert.equal("", jobq("workers").out)
      assert.match("web%-1%s+stopped", ok("workers --all").out)
    end)
  end)

  describe("cleanup", function()
    it("says what it dropped", function()
      assert.match("^%d+ days of finished jobs", ok("cleanup").out)
    end)

    local function count()
      return db:value "select count(*) from jobq.finished"
    end

    describe("of what is older than a time", function()
      before_each(function()
        for _, kind in ipairs { "email.send", "email.digest", "file_x.a", "fileyx.a" } do
          db:enqueue { kind }
        end
        db:query "select jobq.cancel(id) from generate_series(1, 4) id"
        db:query "update jobq.finished set status = 'completed' where id = 3"
        db:query "update jobq.finished set finished_at = now() - interval '2 days' where id > 1"
      end)

      it("shows first what it would delete, then does it", function()
        assert.match("cancelled%s+2%s.*\ncompleted%s+1%s",
          ok("cleanup --older-than 1d --dry-run").out)
        assert.equal(4, count())
        assert.match("\n3 more jobs deleted$", ok("cleanup --older-than 1d").out)
        assert.equal(1, db:value "select id from jobq.finished")
      end)

      it("deletes only some", function()
        local command = "cleanup --json --older-than 1d "
        assert.equal(1, ok(command .. "--kind file_*").json.jobs_deleted)
        assert.equal(0, ok(command .. "--status failed").json.jobs_deleted)
        assert.equal(2, ok(command .. "--status failed --status cancelled").json.jobs_deleted)
        assert.equal(1, count())
      end)

      it("takes no other wish without the time, and deletes nothing then", function()
        assert.equal(2, jobq("cleanup --kind x").status)
        assert.equal(2, jobq("cleanup --older-than soon").status)
        assert.equal(2, jobq("cleanup --older-than 1d --status pending").status)
        assert.equal(4, count())
      end)
    end)
  end)

  describe("workers cleanup", function()
    local function register(name, silent_for)
      return db:value([[insert into jobq.worker (pid, host, name, version, concurrency, seen_at)
        values (1, 'nowhere', $1::text, '0', 1, now() - $2::interval) returning id]],
        name, silent_for)
    end

    it("declares dead who was silent, and says who", function()
      register("lively", "2 minutes")
      register("silent", "6 minutes")
      assert.match("^silent%s+nowhere%s+1%s+0$", ok("workers cleanup").out:match "\n(.*)")
      assert.equal("no worker was silent for so long", ok("workers cleanup").out)
      local items = ok("workers cleanup --silent-for 60s --json").json.items
      assert.same({ "lively", 0 }, { items[1].name, items[1].jobs })
      assert.equal(0, db:value "select count(*) from jobq.worker where state = 'running'")
    end)

    it("does not take those for dead who need not have beaten yet", function()
      local answer = jobq "workers cleanup --silent-for 10s"
      assert.equal(2, answer.status)
      assert.match("%-%-silent%-for: '10s' is too short, expected at least 1m", answer.err)
    end)

    it("suggests a verb that is nearly right", function()
      local answer = jobq "workers celanup"
      assert.equal(2, answer.status)
      assert.match("unknown command 'workers celanup'\nhint: did you mean 'workers cleanup'%?",
        answer.err)
    end)
  end)

  describe("migrate", function()
    it("brings an empty database up, may be repeated, and tells versions", function()
      db = engine.database "empty"
      assert.equal(7, jobq("migrate --status").status)
      assert.match("^applied 0001 tables\n", ok("migrate").out)
      assert.match("^nothing to do, the schema is at version %d+$", ok("migrate").out)
      ok "migrate --status"
      ok "enqueue a"
    end)

    it("prints a script that does the same", function()
      db = engine.database "empty"
      local script = ok("migrate --print").out
      local psql = engine.process.start { "psql", "-qX", "-d", db.dsn, stdin = script }
      assert.equal(0, psql:wait())
      assert.match("^nothing to do", ok("migrate").out)
    end)
  end)

  describe("in trouble", function()
    it("knows a schema that is missing: 7", function()
      db = engine.database "empty"
      for _, command in ipairs { "stats", "jobs", "job 1", "enqueue a", "cancel 1", "workers" } do
        local answer = jobq(command)
        assert.equal(7, answer.status)
        assert.match("has no jobq schema\nhint: jobq migrate$", answer.err)
      end
    end)

    it("knows a role without rights: 5, with the role and the remedy", function()
      db:query "create role outsider login"
      finally(function() db:query "drop role outsider" end)
      local dsn = db.dsn:gsub("user=%w+", "user=outsider")
      for command, role in pairs { stats = "reader", ["cancel 1"] = "admin" } do
        local answer = engine.jobq({ dsn = dsn }, command)
        assert.equal(5, answer.status)
        assert.match("role 'outsider' may not do this", answer.err)
        assert.match("grant jobq_" .. role .. ' to "outsider"', answer.err)
      end
    end)

    it("knows a server that is not there: 4, and where the dsn is from", function()
      local answer = engine.jobq(nil, "stats",
        { env = { DATABASE_URL = "postgres://nobody@127.0.0.1:1/x" } })
      assert.equal(4, answer.status)
      assert.match("^jobq: cannot reach postgres at 127.0.0.1:1: connection refused\n", answer.err)
      assert.match("DATABASE_URL", answer.err)
      answer = engine.jobq(nil, "stats --json --dsn postgres://nobody@127.0.0.1:1/x")
      assert.same({ 4, "no_database" }, { answer.status, answer.error.code })
    end)

    it("knows a dsn that cannot be read: 2", function()
      local answer = engine.jobq(nil, { "--dsn", "host = 'x", "stats" })
      assert.equal(2, answer.status)
      assert.match("^jobq: %-%-dsn: unterminated quoted string", answer.err)
    end)

    it("suggests commands", function()
      local answer = jobq "retyr 42"
      assert.same({ 2, "", "jobq: unknown command 'retyr'\nhint: did you mean 'retry'?" },
        { answer.status, answer.out, answer.err })
      assert.equal(2, jobq("").status)
    end)

    it("makes no database where nobody asked for one", function()
      local dir = engine.handlers {}
      local answer = engine.jobq(nil, "stats", { cwd = dir.path })
      assert.equal(4, answer.status)
      assert.match("no dsn is given", answer.err)
      assert.is_nil(uv.fs_stat(dir.path .. ".jobq"))
    end)
  end)

  describe("help", function()
    it("is there for each command, examples before options", function()
      local page = ok("help").out
      assert.match("^Usage: jobq ", page)
      local names = {}
      for name in page:match("\nJobs:(.-)\nEverywhere:\n"):gmatch "\n  (%l[%l%- ]-)  " do
        names[name] = true
      end
      for name in pairs(names) do
        local help = ok(name .. " -h").out
        assert.equal(1, (help:find("Usage: jobq " .. name, 1, true)))
        assert.is_true(help:find "\nExamples:\n" < help:find "\nEverywhere:\n")
        assert.equal(help, ok("help " .. name).out)
      end
      assert.is_true(names.enqueue and names.workers and names.help)
    end)

    it("fits a terminal of 80 columns, and so do the topics", function()
      local words = { "help" }
      for name in ok("help").out:gmatch "\n  (%l[%l%- ]-)  " do
        table.insert(words, not name:find "^jobq " and "help " .. name or nil)
      end
      assert.is_true(#words > 15)
      for _, command in ipairs(words) do
        for line in ok(command).out:gmatch "[^\n]+" do
          assert.is_true(#line <= 80 or line:find "^  jobq " ~= nil, line)
        end
      end
    end)

    it("leads examples that are right", function()
      for command in ok("enqueue --help").out:gmatch "\n  jobq (enqueue %S+ [^\n]*)" do
        command = command:gsub("    .*", ""):gsub(" %-%-wait.*", "") -- there is no worker
        assert.equal(0, engine.process.start({
          "sh", "-c", "echo '{}' > args.json; jobq " .. command,
          cwd = engine.handlers({}).path,
          env = {
            PATH = require("support.build").path() .. ":" .. os.getenv "PATH",
            JOBQ_ADMIN_SCRIPTS = uv.cwd() .. "/scripts/admin", JOBQ_DSN = db.dsn,
          },
        }):wait())
      end
    end)
  end)

  describe("version", function()
    it("tells commit and libraries, as jobq-run does", function()
      local said = ok("--version").out
      assert.match("^jobq %d+%.%d+%.%d+ ?[%x()]*\nbuilt with lua 5%.4%.%d+, libpq [%d.]+, ", said)
      local p = engine.process.start { require("support.build").program "jobq-run", "--version" }
      assert.equal(0, p:wait())
      assert.equal(said, (p:output():gsub("^jobq%-run", "jobq"):gsub("\n$", "")))
    end)

    it("is JSON for programs", function()
      local about = ok("--version --json").json
      assert.match("^%d+%.%d+%.%d+$", about.version)
      for _, library in ipairs { "lua", "libpq", "libuv", "curl", "openssl", "zstd" } do
        assert.match("^%d+%.%d+", about.libraries[library])
      end
      local commit = ok("--version").out:match "%((%x+)%)" -- none without git
      assert.is_true(commit == nil or commit == about.commit)
    end)
  end)

  describe("postgres", function()
    it("starts, stays, and stops", function()
      local dir = engine.handlers {}
      local in_dir = { cwd = dir.path }
      finally(function() engine.jobq(nil, "postgres stop", in_dir) end)
      assert.equal("absent", engine.jobq(nil, "postgres status", in_dir).out)
      assert.match("^running; psql ", engine.jobq(nil, "postgres start", in_dir).out)
      local state = engine.jobq(nil, "postgres status --json", in_dir).json
      assert.equal("running", state.state)
      assert.equal("1", engine.jobq({ dsn = state.dsn }, "enqueue a").out)
      assert.match("^id ", engine.jobq(nil, "jobs", in_dir).out)
      assert.equal("stopped", engine.jobq(nil, "postgres stop", in_dir).out)
      assert.equal("stopped", engine.jobq(nil, "postgres status", in_dir).out)
      assert.equal(0, engine.jobq(nil, "jobs", in_dir).status)
    end)
  end)
end)
