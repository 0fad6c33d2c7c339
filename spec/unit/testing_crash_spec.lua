--- t.crash_everywhere(): handlers that are right, and wrong in each way.
local t = require "jobq.testing"

local handlers = require "support.handlers"

local URL = "https://shop.example.org/orders"

--- A function that runs the only kind of a file, "one", whose run has this body.
local function handler(body, options)
  local dir = handlers { ["one.lua"] = table.concat({ "local jobq = require 'jobq'",
    ("return { %s run = function(job)"):format(options or ""), body, "end }" }, "\n") }
  local run = t.handlers(dir.path)
  return function(args, run_options)
    local report = run("one", args, run_options)
    return report
  end
end

--- Goes through, with its usual report.
local function right(body, options)
  local report = handler(body, options) ()
  assert.is_table(report)
  return report
end

--- The text of what is wrong, all of whose parts must be there.
local function wrong(body, ...)
  local ok, message = pcall(handler(body))
  assert.is_false(ok)
  for _, part in ipairs { ... } do
    assert.is_truthy(message:find(part, 1, true), ("no '%s' in:\n%s"):format(part, message))
  end
  return message
end

describe("a handler that is killed everywhere", function()
  before_each(function()
    t.crash_everywhere()
  end)

  it("is not told of it", function()
    t.http.on("GET", URL, { json = { n = 1 } })
    local report = right [[
      local reply = jobq.must(jobq.http.get("https://shop.example.org/orders"))
      return jobq.done { n = reply:json().n }]]
    assert.same({ "done", { n = 1 }, 1 }, { report.verdict, report.result, #report.requests })
  end)

  describe("and posts", function()
    local POST = [[jobq.must(jobq.http.post("https://shop.example.org/orders", { %s }))]]

    it("does so twice without a key", function()
      t.http.on("POST", URL, 201)
      wrong(POST:format "", "one: killed at 2 places",
        "one.lua:3, after jobq.http (wait 1 of 1):\n"
        .. "  POST https://shop.example.org/orders: twice instead of once\n"
        .. "  hint: idempotency_key = true is the same in all attempts")
    end)

    it("may do so twice with one", function()
      t.http.on("POST", URL, 201)
      right(POST:format "idempotency_key = true")
    end)

    it("needs one that all attempts have", function()
      t.http.on("POST", URL, 201)
      wrong(POST:format "idempotency_key = 'order-' .. job.attempt", "twice instead of once")
    end)

    it("may do so where the spec says that it does no harm", function()
      t.http.on("POST", URL, 201, { again = true })
      right(POST:format "")
      assert.error_matches(function() t.http.on("POST", URL, 201, { agian = true }) end,
        "t.http.on: unknown option 'agian', expected again")
    end)

    it("may be refused as often as it likes", function()
      t.http.on("POST", URL, 503)
      assert.equal("failed", right(POST:format "").verdict)
    end)

    it("does not where a step remembers", function()
      t.http.on("POST", URL, 201)
      wrong("jobq.step('order', function() " .. POST:format "" .. " end)\njobq.sleep(1)",
        "one.lua:3, after jobq.http (wait 2 of 4), and at 1 more:")
    end)
  end)

  it("may put and delete again", function()
    t.http.on("PUT", URL, 200)
    t.http.on("DELETE", URL, 200)
    right [[
      jobq.must(jobq.http.put("https://shop.example.org/orders", { body = "x" }))
      jobq.must(jobq.http.delete("https://shop.example.org/orders"))]]
  end)

  it("sees what the others know by then", function()
    local has_it, asked = false, 0
    t.http.on("GET", URL, function()
      asked = asked + 1
      return has_it and 200 or 404
    end)
    t.http.on("PUT", URL, function()
      has_it = true
      return 201
    end)
    local report = right [[
      local url = "https://shop.example.org/orders"
      if jobq.http.get(url).status == 404 then
        jobq.must(jobq.http.put(url, { body = "x" }))
      end
      assert(jobq.http.get(url).status == 200)
      jobq.sleep(1)]]
    assert.same({ "done", 2 }, { report.verdict, asked })
  end)

  it("mails a copy that the receiver can drop, or two", function()
    t.smtp.replies { { 250, "ok" }, { 250, "ok" } }
    local mail = "for _, to in ipairs { 'a@x.org', 'b@x.org' } do "
      .. "jobq.must(jobq.smtp.send { to = to, subject = 'Hi', text = 'x', message_id = %s }) end"
    local id = "('<%d.%s>'):format(job.id, to)"
    assert.equal(2, #right(mail:format(id)).mails)
    t.smtp.replies { { 250, "ok" }, { 250, "ok" } }
    wrong(mail:format "nil", "after jobq.smtp.send (wait 1 of 2)",
      "mail to a@x.org 'Hi': twice instead of once", "hint: message_id = ")
  end)

  it("runs a program again only where it may", function()
    t.process.on("post", { stdout = "1" })
    wrong("jobq.must(jobq.process.run { 'post', 'x' })", "after jobq.process.run (wait 1 of 1)",
      "program post x: twice instead of once", "hint: if it may run again")
    t.process.on("post", { stdout = "1" }, { again = true })
    right "jobq.must(jobq.process.run { 'post', 'x' })"
  end)

  it("enqueues once only with a key, or in the commit that ends it", function()
    wrong("jobq.enqueue('mail', { to = 'a' })\njobq.sleep(1)", "after jobq.enqueue (wait 1 of 2)",
      'job mail {to: "a"}: twice instead of once', "hint: unique_key makes")
    wrong("jobq.sql.transaction(function(tx) tx:enqueue 'mail' end)", "after commit")
    right "jobq.enqueue('mail', { to = 'a' }, { unique_key = 'a' })"
    right "jobq.sql.transaction(function(tx) tx:enqueue('mail') tx:complete() end)"
    right "jobq.step_tx('mail', function(tx) tx:enqueue('mail') end) jobq.sleep(1)"
  end)

  it("emits once only with an id", function()
    wrong("jobq.emit('paid', 7) jobq.sleep(1)", "after jobq.emit (wait 1 of 2)",
      "event paid 7: twice instead of once", "hint: give it an id")
    right "jobq.emit('paid', 7, { id = 'x' }) jobq.sleep(1)"
  end)

  it("goes on behind a checkpoint, not beyond", function()
    local loop = [[
      for i = (job:last_checkpoint() or 0) + 1, 3 do
        %s
        jobq.enqueue("page", { n = i }, { unique_key = "p" .. i })
        %s
      end]]
    right(loop:format("", "job:checkpoint(i)"))
    wrong(loop:format("job:checkpoint(i)", ""), "after job:checkpoint (wait",
      "job page {n: 1}: not at all instead of once")
  end)

  it("comes to the same end", function()
    wrong([[
      local sent = 0
      for i = (job:last_checkpoint() or 0) + 1, 2 do
        jobq.sleep(1)
        sent = sent + 1
        job:checkpoint(i)
      end
      return jobq.done { sent = sent }]], "after job:checkpoint",
      "the result is {sent: 1}, not {sent: 2}")
    wrong([[
      local known = jobq.step("first", function() return { attempt = job.attempt } end)
      jobq.sleep(1)
      if known.attempt ~= job.attempt then error "lost" end]],
      "the verdict of the next attempt is failed, not done: ", "lost")
    right "return jobq.done { attempt = job.attempt }"
  end)

  it("may differ in what differs anyhow", function()
    right [[
      local token = jobq.crypto.random(8, "hex")
      local id = jobq.enqueue("mail", { token = token }, { unique_key = "x" })
      jobq.sleep(1)
      return jobq.done { token = token, id = id, at = os.time() }]]
    wrong([[
      local token = jobq.crypto.random(8, "hex")
      jobq.enqueue("mail", { token = token })]], "job mail: twice instead of once")
    wrong([[
      local known = job:last_checkpoint()
      job:checkpoint(1)
      return jobq.done { token = jobq.crypto.random(8, "hex"), n = known or 0 }]], "the result is")
  end)

  it("executes nothing when it is killed", function()
    wrong([[
      local mark <close> = setmetatable({}, { __close = function() jobq.sleep(9) end })
      local ok = pcall(jobq.sleep, 1)
      jobq.enqueue(ok and "after" or "failed")]], "job after {}: twice instead of once")
    local run = handler [[
      local mark <close> = setmetatable({}, { __close = function()
        io.open(job.args.path .. "/closed", "a"):write("x"):close()
      end })
      pcall(jobq.sleep, 1)
      io.open(job.args.path .. "/slept", "a"):write("x"):close()]]
    assert.equal("done", run({ path = t.folder() }).verdict)
  end)

  it("is killed in all its parts", function()
    t.http.on("POST", URL .. "/*", 201)
    local post = [[
      local tasks = {}
      for i = 1, 4 do
        tasks[i] = function()
          jobq.must(jobq.http.post("https://shop.example.org/orders/" .. i, { %s }))
          jobq.sleep(i)
        end
      end
      jobq.must(jobq.parallel(tasks, { limit = 2 }))]]
    right(post:format "idempotency_key = 'order-' .. i")
    wrong(post:format "", "POST https://shop.example.org/orders/4: twice instead of once")
  end)

  it("waits for its event, and sleeps to the end", function()
    local body = [[
      jobq.step("ask", function() jobq.enqueue("ask", {}, { unique_key = "q" }) end)
      local answer, why = jobq.wait_event("answer", { timeout = 60 })
      jobq.sleep_until("later", os.time() + 5)
      return jobq.done { answer = answer, why = why }]]
    assert.equal("park", right(body).verdict)
    t.emit("answer", 42)
    assert.same({ answer = 42 }, right(body).result)
  end)

  it("may be let off", function()
    t.crash_everywhere(false)
    t.http.on("POST", URL, 201)
    right [[jobq.must(jobq.http.post "https://shop.example.org/orders")]]
  end)

  describe("beside a database", function()
    local db

    before_each(function()
      db = t.database()
      db:query "create table effect (id int generated always as identity, n int, at timestamptz)"
    end)

    it("changes it once only in the commit that ends it, or a step", function()
      wrong("jobq.must(jobq.sql.query 'insert into effect (n) values (1)')",
        "after jobq.sql 'insert into effect (n) values (1)' (wait 1 of 1)",
        'row in effect {"n": 1}: twice instead of once', "hint: tx:complete, or jobq.step_tx")
      local change = "function(tx) tx:query 'insert into effect (n, at) values (2, now())' %s end"
      right(("jobq.sql.transaction(%s)"):format(change:format "tx:complete()"))
      right(("jobq.step_tx('add', %s) jobq.sleep(1)"):format(change:format ""))
      wrong(("jobq.sql.transaction(%s)"):format(change:format ""), "after commit")
      assert.equal(4, db:value "select count(*) from effect")
    end)

    it("sees whether a time is set, not which", function()
      db:query "insert into effect (n) values (1), (2)"
      right "jobq.must(jobq.sql.query 'update effect set at = clock_timestamp()') jobq.sleep(1)"
      db:query "update effect set at = null"
      wrong("for n = (job:last_checkpoint() or 0) + 1, 2 do job:checkpoint(n)\n"
        .. "jobq.must(jobq.sql.query('update effect set at = now() where n = $1', n)) end",
        'row in effect {"n": 1, "at": "set"}: not at all instead of once')
    end)

    it("changes nothing that is not committed, and holds no lock", function()
      db:query "insert into effect (n) values (1)"
      right [[
        return jobq.sql.transaction(function(tx)
          jobq.must(tx:query "update effect set n = n + 1")
          tx:enqueue("next", { n = 1 })
          tx:complete()
        end)]]
      assert.equal(2, db:value "select n from effect")
      assert.equal(1, #t.enqueued())
    end)

    it("has its jobs there", function()
      wrong("jobq.enqueue('next', { n = 1 })\njobq.sleep(1)", "one: killed at 3 places",
        "after jobq.enqueue",
        'row in jobq.job next {"n": 1}: twice instead of once', "hint: unique_key")
      right "jobq.enqueue('next', { n = 2 }, { unique_key = 'x' })"
    end)
  end)

  describe("in a folder", function()
    it("begins with the files that there were, and leaves those of the usual run", function()
      local path = t.folder()
      local file = assert(io.open(path .. "/in", "w"))
      file:write("x"):close()
      local run = handler [[
        jobq.must(jobq.fs.write(job.args.path .. "/out", jobq.must(jobq.fs.read(job.args.path
          .. "/in")) .. "y"))
        jobq.must(jobq.fs.remove(job.args.path .. "/in"))]]
      local ok, message = pcall(run, { path = path })
      assert.is_false(ok)
      assert.matches("after jobq.fs.remove %(wait 3 of 3%):\n  the verdict of the next attempt is "
        .. "failed, not done", message)
      assert.equal("xy", io.open(path .. "/out"):read "a")
      assert.is_nil(io.open(path .. "/in"))
    end)

    it("leaves no file behind that should not be there", function()
      local run = handler [[
        local part = ("%s/part.%d"):format(job.args.path, job.attempt)
        jobq.must(jobq.fs.write(part, "half"))
        jobq.must(jobq.fs.rename(part, job.args.path .. "/whole"))]]
      local _, message = pcall(run, { path = t.folder() })
      assert.matches("file part.1 %(%x+%): once instead of not at all", message)
    end)
  end)
end)
