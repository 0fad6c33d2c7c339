--- Each recipe of docs/how-to/cookbook.md does what it says, also when it is killed anywhere.
local t = require "jobq.testing"

local engine = require "support.engine"
local files = require "support.files"
local handlers = require "support.handlers"
local page = require "support.page"

local RECIPES = 20

local sources, tested = {}, {}
for _, block in ipairs(page.read("docs/how-to/cookbook.md").blocks) do
  if block.name then
    sources[block.name:match "^handlers/(.*)%.lua$"] = block.text
  end
end

local function folder_of(name)
  return handlers({ [name .. ".lua"] = sources[name] or error("no recipe " .. name) }).path
end

--- A test of one recipe: f(run), where run is that of jobq.testing.
local function recipe(name, f)
  tested[name] = true
  it(name, function()
    t.crash_everywhere()
    f(t.handlers(folder_of(name)))
  end)
end

--- The sample application's tables.
local function application()
  local db = t.database()
  db:query(files.read "handlers/sample/schema.sql")
  db:query(files.read "handlers/sample/data.sql")
  return db
end

describe("the cookbook's recipe", function()
  recipe("webhook", function(run)
    local url = "https://shop.example.org/hook"
    local function send(status, headers)
      t.http.on("POST", url, { status = status, headers = headers })
      local report = run("webhook", { url = url, event = { paid = true } })
      return report
    end
    local sent = send(204)
    assert.equal("done", sent.verdict)
    assert.same({ '{"paid":true}', "jobq-1" },
      { sent.requests[1].body, sent.requests[1].headers["idempotency-key"] })
    local busy = send(429, { ["Retry-After"] = "120" })
    assert.same({ "retry", 120 }, { busy.verdict, busy.delay })
    assert.equal("failed", send(500).verdict)
    assert.equal("discard", send(410).verdict)
  end)

  recipe("report", function(run)
    application():query "update app.users set created_at = now() - interval '2 days' where id > 3"
    t.smtp.replies { 250, "ok" }
    local mail = run("report").mails[1]
    assert.same({ "ops@example.org" }, mail.to)
    assert.matches("Subject: New users: 3\r\n", mail.message, 1, true)
  end)

  recipe("newsletter", function(run)
    t.crash_everywhere(false) -- in its own commits, below
    local db = application()
    assert.equal("done", run("newsletter.start", { subject = "May" }).verdict)
    assert.equal(4, #t.enqueued())
    t.smtp.replies { { 250, "ok" }, { 250, "ok" }, { 250, "ok" }, { 250, "ok" } }
    local to = {}
    for i, report in ipairs(t.drain(run)) do
      to[i] = report.mails[1].to[1]
    end
    assert.same({ "ann@example.org", "bjoern@example.org", "chie@example.org", "dora@example.org" },
      to)
    local batch = db:query("select name, callbacks -> 'on_complete' ->> 'kind' as kind, "
      .. "closed_at is not null as is_closed from jobq.batch")[1]
    assert.same({ name = "May", kind = "newsletter.summary", is_closed = true }, batch)
    local log = run("newsletter.summary",
      { batch = { name = "May", succeeded = 3, total = 4 } }).logs[1]
    assert.equal("May: 3 of 4", log.message)
    t.crash_everywhere()
    run("newsletter.start", { subject = "June" })
  end)

  recipe("product", function(run)
    t.database()
    run("product.saved", { id = 7 })
    t.crash_everywhere(false) -- enough
    run("product.saved", { id = 7 })
    run("product.saved", { id = 7 })
    run("product.saved", { id = 8 })
    assert.equal(2, #t.enqueued())
    t.crash_everywhere()
    t.http.on("PUT", "https://search.example.org/products/7", 200)
    assert.equal(1, #run("product.index", { id = 7 }).requests)
  end)

  recipe("crm", function(run)
    local db = t.database()
    db:query "create table customer (id int primary key, name text)"
    local url = "https://crm.example.org/customers?page="
    t.http.on("GET", url .. "1", { json = { customers = { { id = 1, name = "Ann" } },
      next = url .. "2" } })
    t.http.on("GET", url .. "2", { json = { customers = { { id = 2, name = "Bo" } } } })
    local report = run "crm"
    assert.equal("done", report.verdict)
    assert.equal("Ann, Bo", db:value "select string_agg(name, ', ' order by id) from customer")
    t.crash_everywhere(false) -- enough
    report = run("crm", {}, { steps = { { what = "checkpoint", name = "-", value = url .. "2" } } })
    assert.equal(1, #report.requests)
  end)

  recipe("invoice", function(run)
    local waiting = run("invoice", { number = 42 })
    assert.same({ "park", "paid.42" }, { waiting.verdict, waiting.waits_for })
    assert.equal("discard", run("invoice", { number = 42 }, { steps = waiting.steps }).verdict)
    t.emit("paid.42", { cents = 995 })
    assert.same({ cents = 995 }, run("invoice", { number = 42 }).result)
  end)

  recipe("trip", function(run)
    t.http.on("PUT", "https://*", 201)
    t.http.on("DELETE", "https://flights.example.org/bookings/1", 204)
    assert.equal("done", run("trip", { trip = 1 }).verdict)
    t.http.on("PUT", "https://hotels.example.org/bookings/1", 409)
    local full = run("trip", { trip = 1 })
    assert.equal("discard", full.verdict)
    assert.same({ "PUT", "PUT", "DELETE" }, { full.requests[1].method, full.requests[2].method,
      full.requests[3].method })
  end)

  recipe("points", function(run)
    local db = t.database()
    db:query "create table account (id int primary key, points int)"
    db:query "insert into account values (1, 5)"
    assert.same({ sum = 12 }, run("points", { user = 1, points = 7 }).result)
    assert.equal(12, db:value "select points from account")
    assert.enqueued { kind = "points.told", args = { user = 1, sum = 12 } }
  end)

  recipe("pdf", function(run)
    t.config { ["file.root"] = t.folder() }
    t.process.on("pdftotext", { stdout = "" }, { again = true })
    local report = run("pdf", { path = "a.pdf" })
    assert.equal("done", report.verdict)
    assert.matches("/a.pdf.txt$", report.programs[1].argv[3])
    assert.equal("discard", run("pdf", { path = "../a.pdf" }).verdict)
    t.process.on("pdftotext", { status = 1, stderr = "Syntax Error" }, { again = true })
    assert.matches("no PDF: pdftotext exited with 1: Syntax Error",
      run("pdf", { path = "x" }).error)
  end)

  recipe("backup", function(run)
    local path = t.folder()
    files.write(path .. "/dump", ("x"):rep(100000))
    t.http.on("PUT", "https://store.example.org/dump", 200)
    local report = run("backup", { path = path .. "/dump", url = "https://store.example.org/dump" })
    assert.is_true(report.result.ratio < 0.01)
    assert.is_false(files.exists(path .. "/dump.zst"))
  end)

  recipe("signup", function(run)
    t.database()
    local first = run("signup", { user = 1, source = "web" }).result
    t.crash_everywhere(false) -- enough
    local second = run("signup", { user = 1, source = "app" }).result
    assert.same(first, second)
    assert.equal("web", t.enqueued()[1].args.source)
  end)

  recipe("thumbnails", function(run)
    t.process.on("vipsthumbnail", { status = 0 }, { again = true })
    local report = run("thumbnails", { paths = { "a.jpg", "b.jpg" } })
    assert.same({ 2, 1, "b.jpg" },
      { #report.programs, report.progress.fraction, report.progress.message })
    report = run("thumbnails", { paths = { "a.jpg", "b.jpg" } },
      { attempt = 2, steps = { { what = "checkpoint", name = "-", value = 1 } } })
    assert.equal("b.jpg", report.programs[1].argv[4])
  end)

  recipe("export", function(run)
    local url = "https://warehouse.example.org/exports"
    t.http.on("POST", url, { json = { id = 7 } })
    t.http.on("GET", url .. "/7", { json = { state = "running" } })
    local report = run("export", { from = "sales" })
    assert.same({ "snooze", 30 }, { report.verdict, report.delay })
    assert.equal("discard", run("export", { from = "sales" }, {
      steps = report.steps, created_at = os.time() - 90000 }).verdict)
    t.http.on("GET", url .. "/7", { json = { state = "ready", url = "https://x.org/7" } })
    report = run("export", { from = "sales" }, { steps = report.steps })
    assert.same({ { url = "https://x.org/7" }, 1 }, { report.result, #report.requests })
  end)

  recipe("heartbeat", function(run)
    t.http.on("GET", "https://alive.example.org/ping/jobq", 200)
    assert.same({ "done", 1 }, { run("heartbeat").verdict, #run("heartbeat").requests })
    t.http.on("GET", "https://alive.example.org/ping/jobq", 503)
    assert.equal("failed", run("heartbeat").verdict)
  end)

  recipe("download", function(run)
    local path, url = t.folder(), "https://data.example.org/all"
    t.config { ["file.root"] = path }
    t.http.on("GET", url, { body = "abc" })
    local args = { url = url, name = "all", sha256 =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }
    assert.same({ bytes = 3 }, run("download", args).result)
    assert.equal("abc", files.read(path .. "/all"))
    t.http.on("GET", url, { body = "abd" })
    assert.equal("bad_sum", run("download", args).code)
    assert.equal("abc", files.read(path .. "/all"))
    assert.is_false(files.exists(path .. "/all.new"))
    args.name = "../all"
    assert.equal("discard", run("download", args).verdict)
  end)

  recipe("prices", function(run)
    for shop, cents in pairs { a = 300, b = 200, c = 250 } do
      t.http.on("GET", ("https://%s.org/price"):format(shop), { json = { cents = cents } })
    end
    local shops = { "a.org", "b.org", "c.org" }
    assert.same({ least = 200 }, run("prices", { shops = shops }).result)
    t.http.on("GET", "https://c.org/price", 503)
    assert.equal("failed", run("prices", { shops = shops }).verdict)
  end)

  recipe("digest", function(run)
    local db = application()
    t.smtp.replies { 250, "ok" }
    local report = run("digest", { user = 1, to = "ann@example.org" })
    assert.equal("done", report.verdict)
    assert.matches("Subject: 3 news\r\n.*%- Comment 1.*%- Comment 3", report.mails[1].message)
    assert.equal(3, db:value "select count(*) from app.notifications where digested_at is not null")
    t.crash_everywhere(false) -- enough
    assert.equal(0, #run("digest", { user = 1, to = "ann@example.org" }).mails)
  end)

  recipe("purge", function(run)
    local db = application()
    local old = "select count(*) from app.audit_log where created_at < now() - interval '90 days'"
    local n = db:value(old)
    assert.is_true(n > 200)
    assert.equal(n, run("purge").logs[1].fields.rows)
    assert.equal(0, db:value(old))
    assert.equal(400 - n, db:value "select count(*) from app.audit_log")
  end)

  recipe("vault", function(run)
    t.config { ["vault.key"] = "a long secret of the operator" }
    local path = t.folder() .. "/plan"
    files.write(path, "world")
    assert.equal("done", run("vault", { path = path }).verdict)
    assert.is_false(files.exists(path))
    local crypto = require("jobq").crypto
    local key = crypto.hkdf("sha256", "a long secret of the operator", { info = "files" })
    local box = files.read(path .. ".sealed")
    assert.equal("world", crypto.decrypt(key, box, { aad = path }))
    assert.is_nil((crypto.decrypt(key, box, { aad = path .. "2" })))
    assert.equal("failed", run("vault", { path = path .. "2" }).verdict)
  end)

  it("smtp_health", function() -- with a real server: sockets have no fake
    tested.smtp_health = true
    local db, dir = engine.database(), folder_of "smtp_health"
    for greeting, status in pairs { ["220 mail ready"] = 0, ["554 go away"] = 1 } do
      local server = engine.process.start { "python3", "-c", [[
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], file=sys.stderr, flush=True)
s.accept()[0].sendall(sys.argv[1].encode() + b"\r\n")]], greeting }
      local port = server:wait_for_line(function(line) return line:match "^%d+$" end, "its port")
      local answer = engine.jobq(db.dsn, { "run-once", "smtp_health", ('{"port": %s}'):format(port),
        "--handlers", dir })
      assert.same({ status, true }, { answer.status,
        (answer.out .. answer.err):find(greeting, 1, true) ~= nil })
      server:wait()
    end
  end)

  it("is one of twenty, and each is tested", function()
    local count = 0
    for name in pairs(sources) do
      count = count + 1
      assert.is_true(tested[name] or name == "smtp_health", name)
    end
    assert.equal(RECIPES, count)
  end)
end)
