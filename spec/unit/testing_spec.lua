--- jobq.testing, as a spec of a handler's author uses it.
local t = require "jobq.testing"

local files = require "support.files"
local handlers = require "support.handlers"
local uv = require "luv"

local function lines(...)
  return table.concat({ ... }, "\n")
end

--- A function that runs the only kind of a file, "one", whose run has this body.
local function handler(body, options)
  local dir = handlers { ["one.lua"] = lines("local jobq = require 'jobq'",
    ("return { %s run = function(job)"):format(options or ""), body, "end }") }
  local run = t.handlers(dir.path)
  return function(args, run_options)
    local report = run("one", args, run_options)
    return report
  end
end

describe("a run in a spec", function()
  it("tells how it went", function()
    assert.equal("done", handler("") ().verdict)
    assert.equal("done", handler("return true") ().verdict)
    assert.equal("failed", handler("error 'no'") ().verdict)
    assert.equal("failed", handler("return nil, 'no'") ().verdict)
    assert.equal("retry", handler("return jobq.retry('no', 7)") ().verdict)
    assert.equal("snooze", handler("return jobq.snooze(7)") ().verdict)
    assert.equal("discard", handler("return jobq.discard 'no'") ().verdict)
    assert.equal("discard", handler("jobq.must(nil, 'no', 'smtp_550')") ().verdict)
  end)

  it("tells what came of it", function()
    assert.same({ id = 7, list = { 1 } },
      handler("return jobq.done { id = 7, list = { 1 } }") ().result)
    assert.equal(7, handler("return jobq.snooze(7)") ().delay)
    local report = handler("return nil, 'closed for today', 'closed'", "retry_delay = 5,") ()
    assert.equal("closed for today (closed)", report.error)
    assert.equal("closed", report.code)
    assert.equal(5, report.delay)
    report = handler("error { message = 'no', code = 'x' }") ()
    assert.same({ "no (x)", "x" }, { report.error, report.code })
  end)

  describe("that waits for another job", function()
    local WAIT = [[
      local id = job.args.id or jobq.must(jobq.enqueue("child", {}))
      local ended, message, code = jobq.await(id, { timeout = 5 })
      return jobq.done { ended = ended, message = message, code = code }]]

    local function result(args)
      return handler(WAIT)(args).result
    end

    it("is told how that ends, by its kind or its id", function()
      t.ends("child", { status = "completed", result = { n = 1 } })
      t.ends(7, { status = "failed", error = "no" })
      assert.same({ n = 1 }, result().ended.result)
      assert.same({ id = 7, status = "failed", error = "no" }, result({ id = 7 }).ended)
    end)

    it("waits in virtual time, and not for what is not there", function()
      t.ends("child", { status = "processing" })
      t.ends(7, false)
      local report = handler(WAIT) ()
      assert.same({ "timeout", 5 }, { report.result.code, report.slept })
      assert.equal("not_found", result({ id = 7 }).code)
    end)

    it("fails a spec that does not say so", function()
      local ok, message = pcall(result, {})
      assert.is_false(ok)
      assert.matches("nothing says how job 1, child, ends\nhint: t.ends%('child', ...%)", message)
      ok, message = pcall(t.ends, "child", { status = "done" })
      assert.same({ false, true }, { ok, message:find("'done' is no status", 1, true) ~= nil })
    end)
  end)

  it("says where an error was", function()
    local report = handler("local x = job.args.a.b") ()
    assert.matches("one.lua:3: attempt to index a nil value %(field 'a'%)$", report.error)
    assert.matches("^stack traceback:\n\t%S+one.lua:3: in run", report.traceback)
  end)

  it("gets its arguments as JSON, checked", function()
    local run = handler("return jobq.done(job.args)", "args = { n = 'integer', s = 'string?' },")
    assert.equal("integer", math.type(run({ n = 4.0 }).result.n))
    local report = run { n = "x", other = 1 }
    assert.equal("discard", report.verdict)
    assert.equal("one: args.n: 'x' is not an integer; args.other: unknown field", report.error)
    local shared = { 1 }
    assert.is_false(handler("return jobq.done(job.args.a == job.args.b)")({
      a = shared, b = shared }).result)
  end)

  it("gets the fields of a job", function()
    local run = handler("return jobq.done { job.id, job.attempt, job.kind, job.queue, "
      .. "job.max_attempts, job.tags[1] or '', job.idempotency_key }", "queue = 'mail',")
    assert.same({ 1, 1, "one", "mail", 3, "", "jobq-1" }, { table.unpack(run().result) })
    local r = run({}, { id = 9, attempt = 2, tags = { "night" }, queue = "other" }).result
    assert.same({ 9, 2, "one", "other", 3, "night", "jobq-9" }, { table.unpack(r) })
    assert.error_matches(function() run({}, { atempt = 2 }) end,
      "run: unknown option 'atempt'\nhint: did you mean 'attempt'?")
  end)

  it("keeps what it logs", function()
    local logs = handler("job.log:info('a', { n = 1 }) job.log:warn('b')") ().logs
    assert.same({ { level = "info", message = "a", fields = { n = 1 } },
      { level = "warn", message = "b" } }, logs)
  end)

  it("keeps the last that it tells of its progress", function()
    local run = handler("job:progress(0.1, 'a') job:progress(job.args.n, job.args.text)")
    assert.same({ fraction = 0.5, message = "b" }, run({ n = 0.5, text = "b" }).progress)
    assert.same({ fraction = 1 }, run { n = 1.0000001 }.progress)
    assert.is_nil(handler("return true") ().progress)
    for n, told in pairs { [-0.1] = "-0.1", [1.1] = "1.1", half = "half" } do
      assert.equal("one.lua:3: progress '" .. told .. "' is not a number from 0 to 1\n"
        .. "hint: job:progress(done / total)", run { n = n }.error:match "one.lua.*")
    end
    assert.matches("message that is a table, expected a string", run { n = 1, text = {} }.error)
    assert.matches("write job:progress%(...%) with a colon", handler("job.progress(1)") ().error)
  end)

  it("sleeps at once", function()
    local before = uv.hrtime()
    local report = handler("local from = os.time() jobq.sleep(3600) jobq.sleep(0.5) "
      .. "return jobq.done(os.time() - from)") ()
    assert.equal(3600.5, report.slept)
    assert.is_true(report.result >= 3600 and report.result < 3610)
    assert.is_true(uv.hrtime() - before < 10e9)
    assert.matches("number expected", handler("jobq.sleep 'x'") ().error)
  end)

  it("begins in a fresh state", function()
    local dir = handlers { ["one.lua"] = "local n = require 'lib.count'\n"
      .. "return { run = function() n.n = n.n + 1 return require 'jobq'.done(n.n) end }",
      ["lib/count.lua"] = "return { n = 0 }" }
    local run = t.handlers(dir.path)
    assert.equal(1, run("one").result)
    assert.equal(1, run("one").result)
    assert.is_nil(package.loaded["lib.count"])
    assert.is_nil(package.path:find(dir.path, 1, true))
  end)

  it("sees the globals of a worker", function()
    local report = handler("return jobq.done { tostring(describe), tostring(os.execute), "
      .. "tostring(debug), type(assert), type(_G.string) }") ()
    assert.same({ "nil", "nil", "nil", "function", "table" }, { table.unpack(report.result) })
    assert.matches("assignment to global 'x'", handler("_G['x'] = 1") ().error)
    assert.matches("^%S+:3: expected$", handler("local ok, why = pcall(assert, nil, 'expected') "
      .. "error(why)") ().error)
  end)

  it("may use files", function()
    local dir = handlers {}
    assert.equal("x", handler("jobq.fs.write(job.args.path, 'x') "
      .. "return jobq.done(jobq.fs.read(job.args.path))")({ path = dir.path .. "f" }).result)
  end)

  it("may not return just anything", function()
    local run = handler("return { id = 1 }")
    local _, message = pcall(run)
    assert.matches("testing_spec.lua:%d+: one: run returned a table, "
      .. "expected nothing, true, a verdict or nil, message$", message)
    assert.error_matches(handler("return false"), "one: run returned false, expected")
  end)

  it("is of a kind that exists", function()
    local run = t.handlers(handlers { ["mail.lua"] = "return { send = { run = print } }" }.path)
    assert.error_matches(function() run "mail.sned" end,
      "there is no kind 'mail.sned' in '.*'\nhint: did you mean 'mail.send'%?")
  end)

  it("is of a folder that loads", function()
    local dir = handlers { ["one.lua"] = "return {\n  timout = 1, run = print }" }
    local _, message = pcall(t.handlers, dir.path)
    assert.matches("^%S+one.lua:2: unknown option 'timout' in one\nhint: did you mean 'timeout'%?$",
      message)
    local waiting = handlers { ["one.lua"] = "require 'jobq'.sleep(1)" }
    assert.error_matches(function() t.handlers(waiting.path) end, "can only wait inside run")
  end)
end)

describe("mail in a spec", function()
  local body = "local sent, why, code = jobq.smtp.send { to = 'ann@example.org', subject = 'hi', "
    .. "text = 'hello' } if not sent then return nil, why, code end return jobq.done(sent.reply)"

  it("goes nowhere, and is kept", function()
    t.smtp.replies { 250, "queued" }
    local report = handler(body) ()
    assert.equal("250 queued", report.result)
    assert.same({ "ann@example.org" }, report.mails[1].to)
    assert.matches("\r\nSubject: hi\r\n", report.mails[1].message)
  end)

  it("is refused as the spec wants, in order", function()
    t.smtp.replies { { 421, "busy" }, { "connect", "nobody is there" } }
    local report = handler(body) ()
    assert.same({ "smtp 421 busy (smtp_421)", "smtp_421" }, { report.error, report.code })
    report = handler(body) ()
    assert.same({ "nobody is there (connect)", "connect" }, { report.error, report.code })
  end)

  it("without a reply fails the spec, whatever the handler does", function()
    local run = handler("pcall(function() " .. body .. " end)")
    assert.error_matches(run, "jobq.smtp.send: no reply is left for a mail to ann@example.org\n"
      .. "hint: t.smtp.replies")
  end)

  it("of a spec before is forgotten", function()
    assert.error_matches(handler(body), "no reply is left")
  end)
end)

describe("settings in a spec", function()
  it("are what it says", function()
    t.config { ["shop.name"] = "corner", ["shop.limit"] = 5 }
    local run = handler("return jobq.done { jobq.config 'shop.name', jobq.config 'shop.limit' }")
    assert.same({ "corner", "5" }, { table.unpack(run().result) })
  end)

  it("are forgotten afterwards", function()
    assert.matches("setting 'shop.name' is not there", handler("jobq.config 'shop.name'") ().error)
  end)
end)

describe("names in a spec", function()
  it("are those of bindings/meta", function()
    local text = files.read "bindings/meta/testing.lua"
    local declared = {}
    for name in text:gmatch "\nfunction testing%.([%w_.]+)%(" do
      declared[name] = true
    end
    local live = {}
    for name, value in pairs(t) do
      for part in pairs(type(value) == "table" and value or {}) do
        live[name .. "." .. part] = true
      end
      live[name] = type(value) == "function" or nil
    end
    assert.same(live, declared)
  end)

  it("are checked", function()
    assert.error_matches(function() return t.handler end,
      "jobq.testing has no field 'handler'\nhint: did you mean 'handlers'%?")
    assert.error_matches(function() return t.smtp.replis end,
      "t.smtp has no field 'replis'\nhint: did you mean 'replies'%?")
  end)
end)

describe("http in a spec", function()
  local body = "local reply, why, code = jobq.http.%s if not reply then return nil, why, code end "
    .. "return jobq.done { status = reply.status, body = reply.body, "
    .. "type = reply.headers['X-Type'] }"

  it("is answered by the spec", function()
    t.http.on("GET", "http://shop.test/items", {
      status = 201, body = "hello", headers = { ["x-type"] = "small" } })
    local report = handler(body:format "get 'http://shop.test/items'") ()
    assert.same({ status = 201, body = "hello", type = "small" }, report.result)
    assert.equal("GET", report.requests[1].method)
  end)

  it("is answered by the newest that fits, also by a function or a failure", function()
    t.http.on("post", "http://shop.test/*", 500)
    t.http.on("post", "http://shop.test/a", function(request)
      return { json = { got = request.body, kind = request.headers["content-type"] } }
    end)
    t.http.on("get", "http://shop.test/*", { "timeout", "too slow" })
    local post = handler(body:format "post(job.args.url, { json = { n = 1 } })")
    assert.equal('{"got":"{\\"n\\":1}","kind":"application/json"}',
      post({ url = "http://shop.test/a" }).result.body)
    assert.equal(500, post({ url = "http://shop.test/b" }).result.status)
    local report = handler(body:format "get 'http://shop.test/'") ()
    assert.same({ "too slow (timeout)", "timeout" }, { report.error, report.code })
  end)

  it("writes a body to its file, but no refusal", function()
    local path = t.folder() .. "/body"
    local words = "return jobq.done(jobq.http.get('http://shop.test/', { to_file = %q }).body)"
    local fetch = handler(words:format(path))
    t.http.on("GET", "http://shop.test/", { status = 404, body = "none" })
    assert.equal("none", fetch().result)
    assert.is_nil(files.read(path))
    t.http.on("GET", "http://shop.test/", { body = "one" })
    assert.is_nil(fetch().result)
    assert.equal("one", files.read(path))
  end)

  it("goes well with must", function()
    t.http.on("GET", "http://shop.test/", 404)
    local report = handler("jobq.must(jobq.http.get 'http://shop.test/')") ()
    assert.equal("discard", report.verdict)
    assert.matches("one.lua:3: http 404 from shop.test %(http_404%)$", report.error)
    assert.equal("http_404", report.code)
  end)

  it("without an answer fails the spec", function()
    t.http.on("GET", "http://shop.test/", 200)
    assert.error_matches(handler "pcall(jobq.http.get, 'http://shop.test/other')",
      "jobq.http: nothing answers GET http://shop.test/other\nhint: t.http.on%('GET'")
  end)
end)

describe("programs in a spec", function()
  local body = "local result, why, code = jobq.process.run({ '/usr/bin/convert', job.args.file }, "
    .. "{ stdin = 'x' }) if not result then return nil, why, code end "
    .. "return jobq.done { status = result.status, out = result.stdout }"

  it("do what it says", function()
    t.process.on("convert", { stdout = "done" })
    local report = handler(body)({ file = "a.png" })
    assert.same({ status = 0, out = "done" }, report.result)
    assert.same({ { argv = { "/usr/bin/convert", "a.png" }, stdin = "x" } }, report.programs)
  end)

  it("fail as it says", function()
    t.process.on("convert", function(argv)
      return argv[2] == "a.png" and { status = 3, stderr = "no\nbad file\n" } or { signal = 9 }
    end)
    local report = handler(body)({ file = "a.png" })
    assert.same({ "exit_3", "/usr/bin/convert exited with 3: bad file (exit_3)" },
      { report.code, report.error })
    assert.equal("SIGKILL", handler(body)({ file = "b" }).code)
    t.process.on("/usr/bin/convert", { "ENOENT", "no such file or directory" })
    report = handler(body)({ file = "a.png" })
    assert.same({ "ENOENT", "/usr/bin/convert: no such file or directory (ENOENT)" },
      { report.code, report.error })
  end)

  it("tell their lines", function()
    t.process.on("ls", { stdout = "a\nb\nc" })
    assert.same({ "a", "b", "c" }, { table.unpack(handler [[
      local lines = {}
      jobq.process.run({ "ls" }, { on_stdout = function(line) lines[#lines + 1] = line end })
      return jobq.done(lines)]] ().result) })
  end)

  it("that nobody has described fail the spec", function()
    t.process.on("ls", {})
    assert.error_matches(handler "pcall(jobq.process.run, { 'rm', '-rf', '/' })",
      "jobq.process: no program 'rm' is there\nhint: t.process.on%('rm'")
  end)
end)

describe("what has no fake", function()
  it("fails the spec", function()
    assert.error_matches(
      handler "pcall(jobq.socket.connect, { host = '127.0.0.1', port = 1 })",
      "jobq.socket: there is no fake for")
  end)

  it("may be real, where it reaches nobody", function()
    local report = handler [[
      local values = jobq.must(jobq.parallel {
        function() jobq.sleep(5) return 1 end,
        function() return jobq.crypto.hash("sha256", "x") end,
      })
      return jobq.done { values[1], #values[2] }]] ()
    assert.same({ 1, 5 }, { report.result and report.result[1], report.slept })
  end)
end)

describe("enqueuing in a spec", function()
  it("is kept", function()
    local report = handler [[
      local id = jobq.enqueue("email.send", { to = "ann" }, { queue = "mail", delay = 5 })
      local ids = jobq.enqueue_many("email.digest", { { n = 1 }, { n = 2 } })
      return jobq.done { id, ids[1], ids[2] }]] ()
    assert.same({ 1, 2, 3 }, { table.unpack(report.result) })
    assert.same({ kind = "email.send", args = { to = "ann" }, queue = "mail", delay = 5, id = 1 },
      report.enqueued[1])
    assert.equal(3, #report.enqueued)
    assert.enqueued { kind = "email.send", args = { to = "ann" } }
    assert.enqueued { kind = "email.digest", args = { n = 2 } }
    assert.not_enqueued { kind = "email.digest", args = { n = 3 } }
  end)

  it("is told when it is missed", function()
    handler "jobq.enqueue('email.send', { to = 'ann' })" ()
    assert.error_matches(function() assert.enqueued { kind = "email.bounced" } end,
      'no job like {"kind":"email.bounced"} was enqueued, these were:\n  email.send {"to":"ann"}$')
    assert.error_matches(function() assert.not_enqueued { kind = "email.send" } end,
      'a job like {"kind":"email.send"} was enqueued, these were:\n')
  end)

  it("of a spec before is forgotten", function()
    assert.error_matches(function() assert.enqueued { kind = "email.send" } end, "nothing was$")
  end)

  it("in batches is kept, too", function()
    local report = handler [[
      assert(not job.batch or job.batch:enqueue "member")
      local batch = jobq.batch { on_complete = { kind = "report", args = { n = 1 } } }
      batch:enqueue("row", { n = 1 }, { priority = 3 })
      batch:enqueue_many("row", { { n = 2 } })
      batch:batch():enqueue "inner"
      jobq.sql.transaction(function(tx) tx:batch(batch):enqueue "in.tx" end)
      jobq.must(jobq.must(jobq.batch(batch.id)):close())]]({}, { batch = 7 })
    assert.is_nil(report.error)
    local told = {}
    for i, job in ipairs(report.enqueued) do
      told[i] = ("%s %d"):format(job.kind, job.batch)
    end
    assert.same({ "member 7", "row 1", "row 1", "inner 2", "in.tx 1" }, told)
    assert.enqueued { kind = "member", batch_member = 1 }
  end)

  it("in a batch that cannot be says what is wrong", function()
    local function fails(body, message)
      assert.matches("one.lua:3: " .. message, handler(body)().error, 1, true)
    end
    fails("jobq.batch { on_sucess = 'x' }",
      "jobq.batch: unknown option 'on_sucess'\nhint: did you mean 'on_success'?")
    fails("jobq.batch { on_success = 7 }", "jobq.batch: on_success: expected the name of a kind, "
      .. "or { kind =, args =, options = }, got a number")
    fails("jobq.batch { parent = 'x' }", "jobq.batch: parent: expected the id of a batch, got 'x'")
    fails("jobq.batch { refire = 1 }", "jobq.batch: refire: expected a boolean, got a number")
    fails("jobq.batch 'x'", "jobq.batch: expected a table of options, got 'x'")
    fails("jobq.batch():enqueue('a', {}, { prio = 1 })", "batch:enqueue: unknown option 'prio'")
    fails("jobq.batch():clos()", "a batch has no method 'clos'\nhint: did you mean 'close'?")
    fails("jobq.batch { on_success = { kind = 'a', args = { f = print } } }",
      "jobq.batch: on_success: ")
  end)

  it("is undone with a transaction", function()
    local report = handler [[
      jobq.sql.transaction(function(tx)
        tx:enqueue "kept"
        tx:transaction(function(inner) inner:enqueue "undone" return nil, "no" end)
        tx:enqueue "kept.too"
      end)
      jobq.sql.transaction(function(tx) tx:enqueue "undone" return nil, "no" end)
      pcall(jobq.sql.transaction, function(tx) tx:enqueue "undone" error "no" end)]] ()
    local kinds = {}
    for i, job in ipairs(report.enqueued) do
      kinds[i] = job.kind
    end
    assert.same({ "kept", "kept.too" }, kinds)
  end)

  it("may complete the job", function()
    local report = handler [[
      jobq.sql.transaction(function(tx) tx:complete { n = 1 } end)
      error "too late"]] ()
    assert.same({ "done", 1 }, { report.verdict, report.result.n })
  end)

  it("does not make a database of it", function()
    assert.error_matches(handler "pcall(jobq.sql.query, 'select 1')",
      "jobq.sql: there is no database in this spec\nhint: t.database%(%)")
  end)

  it("can be worked off", function()
    local dir = handlers { ["a.lua"] = [[
      local jobq = require "jobq"
      return {
        first = { run = function(job) jobq.enqueue("a.second", { n = job.id }) end },
        second = { max_attempts = 2, run = function(job)
          if job.attempt == 1 then error "not yet" end
        end },
      }]] }
    local run = t.handlers(dir.path)
    run "a.first"
    local reports = t.drain(run)
    assert.equal(2, #reports)
    assert.same({ "a.second", "failed", 1 },
      { reports[1].kind, reports[1].verdict, reports[1].attempt })
    assert.same({ "a.second", "done", 2 },
      { reports[2].kind, reports[2].verdict, reports[2].attempt })
    assert.same({}, t.enqueued())
  end)

  it("is worked off with its snoozes, which are no attempts", function()
    local dir = handlers { ["a.lua"] = [[
      local jobq = require "jobq"
      return { run = function(job)
        if not job.args.path then
          return jobq.enqueue("a", { path = "]] .. handlers({}).path .. [[mark" }) and true
        elseif not jobq.fs.exists(job.args.path) then
          jobq.must(jobq.fs.write(job.args.path, ""))
          return jobq.snooze(60)
        end
      end }]] }
    local run = t.handlers(dir.path)
    assert.equal("done", run("a").verdict)
    local reports = t.drain(run)
    assert.same({ "snooze", "done", 1, 2 },
      { reports[1].verdict, reports[2].verdict, reports[2].attempt, #reports })
  end)

  it("is not worked off for ever", function()
    local dir = handlers {
      ["a.lua"] = "return { run = function() require 'jobq'.enqueue 'a' end }" }
    local run = t.handlers(dir.path)
    run "a"
    assert.error_matches(function() t.drain(run) end, "t.drain: 200 runs, and there is still")
  end)
end)

describe("durable steps in a spec", function()
  local ORDER = [[
    local id = jobq.step("charge", function() return { n = job.attempt } end).n
    for i = 1, 2 do jobq.step("mail", i, function() job.log:info("mail " .. i) end) end
    local paid, why = jobq.wait_event("paid", { timeout = job.args.timeout })
    return jobq.done { id = id, paid = paid, why = why }
  ]]

  it("are kept, and handed on to the next run", function()
    local run = handler([[
      local n = jobq.step("one", function() job.log:info "one" return job.attempt end)
      jobq.step_tx("two", function(tx) job.log:info "two" tx:enqueue("next") end)
      if job.attempt == 1 then error "boom" end
      return jobq.done(n)]])
    local first = run()
    assert.same({ "failed", 2, 2 }, { first.verdict, #first.logs, #first.steps })
    assert.same({ what = "step", name = "one", key = "", value = 1 }, first.steps[1])
    assert.equal(1, #first.enqueued)
    local second = run({}, { attempt = 2, steps = first.steps })
    assert.same({ "done", 1, 0 }, { second.verdict, second.result, #second.logs })
    assert.equal(2, run({}, { attempt = 2 }).result)
  end)

  it("tell what a run waits for, and go on when it comes", function()
    local run = handler(ORDER)
    local report = run()
    assert.same({ "park", "paid" }, { report.verdict, report.waits_for })
    assert.equal(2, #report.logs)
    assert.is_true(t.emit("paid", { cents = 5 }, { id = "x" }))
    assert.is_false(t.emit("paid", { cents = 6 }, { id = "x" }))
    report = run({}, { attempt = 2, steps = report.steps })
    assert.same({ id = 1, paid = { cents = 5 } }, report.result)
    assert.equal(0, #report.logs)
  end)

  it("time out between two runs, since time passes there", function()
    local run = handler(ORDER)
    local report = run { timeout = 60 }
    assert.same({ "park", 60 }, { report.verdict, report.delay })
    assert.equal("timeout", run({ timeout = 60 }, { steps = report.steps }).result.why)
  end)

  it("sleep in the same way", function()
    local run = handler [[
      jobq.sleep_until("short", os.time() + 5)
      jobq.sleep_until("long", os.time() + 3600)]]
    local report = run()
    assert.equal("park", report.verdict)
    assert.near(3600, report.delay, 5)
    assert.equal("done", run({}, { steps = report.steps }).verdict)
  end)

  it("keep the last checkpoint", function()
    local run = handler [[
      for page = job:last_checkpoint() or 1, 3 do
        job:checkpoint(page)
        if page == 2 and job.attempt == 1 then return nil, "no" end
      end
      return jobq.done(job:last_checkpoint())]]
    local report = run()
    assert.equal(2, report.steps[1].value)
    assert.equal(3, run({}, { attempt = 2, steps = report.steps }).result)
  end)

  it("are mistakes where they cannot be", function()
    assert.matches("'a' was there in this run already, at %S+one.lua:3",
      handler "jobq.step('a', function() end) jobq.step('a', function() end)" ().error)
    assert.matches("only run itself can wait for so long", handler
      "jobq.must(jobq.parallel { function() jobq.wait_event 'e' end })" ().error)
  end)

  it("of all jobs meet in t.drain", function()
    local dir = handlers { ["a.lua"] = lines("local jobq = require 'jobq'", "return {",
      "ask = { run = function(job)",
      "  jobq.step('ask', function() jobq.enqueue('a.answer') end)",
      "  return jobq.done(jobq.wait_event 'answer') end },",
      "answer = { run = function() jobq.emit('answer', 42) end },",
      "never = { run = function() jobq.wait_event 'never' end },",
      "late = { run = function() jobq.done(jobq.wait_event('x', { timeout = 5 })) end },",
      "start = { run = function()",
      "  for _, kind in ipairs { 'ask', 'never', 'late' } do jobq.enqueue('a.' .. kind) end",
      "end } }") }
    local run = t.handlers(dir.path)
    run "a.start"
    local ends = {}
    for i, report in ipairs(t.drain(run)) do
      ends[i] = report.kind .. " " .. report.verdict
    end
    assert.same({ "a.ask park", "a.never park", "a.late park", "a.answer done", "a.ask done",
      "a.late done" }, ends)
  end)

  it("work beside a database", function()
    local db = t.database()
    db:query "create table effect (n int)"
    local run = handler [[
      jobq.must(jobq.step_tx("one", function(tx)
        jobq.must(tx:query "insert into effect values (1)")
        return true
      end))
      jobq.emit("paid", 7)
      return jobq.done(jobq.wait_event "paid")]]
    assert.equal(7, run().result)
    assert.equal(1, db:value "select count(*) from effect")
  end)
end)
