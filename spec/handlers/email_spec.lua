--- The mail handlers in real workers, against real mail servers; what arrives is read by parsers
--- that are not ours (mailparser, and Python's email in one).
local codec = require("jobq.core").json
local families = require "support.families"
local files = require "support.files"
local mail_server = require "support.mail_server"
local smtp_server = require "support.smtp_server"
local uv = require "luv"

local PNG = "89504e470d0a1a0a00" -- is never looked at
local QUICK_DEATH = { heartbeat_interval = "200ms", dead_after = "2s" }

local function merge(...)
  local all = {}
  for _, values in ipairs { ... } do
    for name, value in pairs(values) do
      all[name] = value
    end
  end
  return all
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

describe("mail", function()
  local db, server, dir

  setup(function()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
  end)

  teardown(function()
    files.remove(dir)
    mail_server.clean()
  end)

  local function worker(settings, options)
    return families.worker(db, merge(server.settings, {
      ["email.attachments"] = dir, ["email.unsubscribe_url"] = "https://example.org/u?lang=en",
      ["email.unsubscribe_key"] = "a key of sixteen bytes or more",
    }, settings or {}), merge({ executors = 1, concurrency = 1 }, options or {}))
  end

  before_each(function()
    db, server = families.database(), mail_server.start()
  end)

  local function enqueue(kind, args)
    return db:enqueue { kind, args = codec.encode(args) }
  end

  --- After its first attempt, when another one is to come.
  local function wait_for_retry(id)
    db:wait_until("it is to be tried again",
      "select status = 'pending' and attempt = 1 from jobq.find($1)", id)
    return db:value("select error from jobq.attempts($1)", id)
  end

  local function run_now(id)
    db:query("select jobq.edit($1, run_at => now())", id)
  end

  local LETTER = {
    to = "Zoë Ås <zoe@example.org>", from = "王 <app@example.com>",
    reply_to = "Hilfe, Büro <help@example.com>", template = "welcome", list = "news",
    data = { name = "Zoë & <Ås>", url = "https://example.org/?a=1&b=2" },
    attachments = {
      { name = "größe.csv", text = "a,b\n" }, { path = "in/notes.txt", name = "notes.txt" },
      { name = "logo.png", base64 = "iVBORw0KGgoA", cid = "logo" },
    },
  }
  local FOOTER = "Unsubscribe: https://example.org/u?lang=en&token="

  it("arrives as it is meant, over STARTTLS and with a login", function()
    files.write(dir .. "/in/notes.txt", "notes")
    worker()
    local job = families.run(db, "email.send", LETTER)
    assert.same({ "completed", "250 queued" }, { job.status, job.result.reply })
    local mail = server:next()
    assert.same({ true, "app" }, { mail.tls, mail.user })
    assert.same({ "zoe@example.org" }, mail.rcpt)
    assert.same({ { "Zoë Ås", "zoe@example.org" } }, mail.to)
    assert.same({ { "王", "app@example.com" } }, mail.from)
    assert.same({ { "Hilfe, Büro", "help@example.com" } }, mail.reply_to)
    assert.equal("Welcome, Zoë & <Ås>", mail.subject)
    assert.equal(job.result.id, mail.id)
    assert.is_truthy(mail.text:find("Dear Zoë & <Ås>,\n\nyour account is ready.\n\n"
      .. "https://example.org/?a=1&b=2\n\n--\n" .. FOOTER, 1, true))
    assert.is_truthy(mail.html:find("<p>Dear Zoë &amp; &lt;Ås&gt;,</p>", 1, true))
    assert.is_truthy(mail.html:find('<a href="https://example.org/?a=1&amp;b=2">', 1, true))
    assert.matches("^https://example.org/u%?lang=en&token=[%w_-]+%.[%w_-]+$",
      mail.list.unsubscribe.url)
    assert.equal("List-Unsubscribe=One-Click", mail.list["unsubscribe-post"].name)
    table.sort(mail.attachments, function(a, b) return a.name < b.name end)
    assert.same({
      { name = "größe.csv", type = "text/csv", related = false, hex = hex "a,b\n" },
      { name = "logo.png", type = "image/png", related = true, cid = "logo", hex = PNG },
      { name = "notes.txt", type = "text/plain", related = false, hex = hex "notes" },
    }, mail.attachments)
  end)

  it("is understood by another server and another parser, too", function()
    local other = smtp_server.start()
    families.worker(db, { ["smtp.host"] = "127.0.0.1", ["smtp.port"] = other.port })
    local job = families.run(db, "email.send", {
      to = { "Zoë <zoe@example.org>", "bob@example.org" }, subject = ("日本語 "):rep(40),
      text = "text", html = "<img src='cid:logo'>",
      attachments = { LETTER.attachments[1], LETTER.attachments[3] },
    })
    local mail = other:next()
    assert.same({ {}, "completed" }, { mail.defects, job.status })
    assert.same({ { "Zoë", "zoe@example.org" }, { "", "bob@example.org" } }, mail.to)
    assert.same({ ("日本語 "):rep(40), "text", "<img src='cid:logo'>" },
      { mail.subject, (mail.text:gsub("\n$", "")), (mail.html:gsub("\n$", "")) })
    assert.same({ "<logo>", PNG }, { mail.shown[1].cid, mail.shown[1].hex })
    assert.same({ "größe.csv" }, { #mail.attachments == 1 and mail.attachments[1].name })
  end)

  it("is given up after a no", function()
    worker()
    local job = families.run(db, "email.send", { to = "unknown@example.org", text = "x" })
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.matches("^smtp 550 5.1.1 no such user", job.error)
  end)

  it("keeps its Message-ID when it is tried again after a not now", function()
    worker()
    local id = enqueue("email.send", { to = "later@example.org", text = "x" })
    assert.matches("^smtp 451 4.7.1 come back later", wait_for_retry(id))
    run_now(id)
    db:wait_for(id, "completed")
    assert.equal(server:next().id, server:next().id)
  end)

  it("waits for a server that is away, or that does not know us yet", function()
    local cases = {
      { { ["smtp.port"] = 1 }, "^cannot reach the smtp server at 127.0.0.1:1: connection refused" },
      { { ["smtp.password"] = "wrong" }, "%(login%)$" },
    }
    for _, case in ipairs(cases) do
      local w = worker(case[1])
      assert.matches(case[2], wait_for_retry(enqueue("email.send", { to = "a@b.org", text = "x" })))
      w:stop()
    end
    assert.equal(0, server:count())
  end)

  it("goes to nobody who is suppressed", function()
    db:query "insert into app.suppressions values ('bob@example.org', 'unsubscribed')"
    worker()
    local gone = { { email = "Gone@example.org", reason = "bounced" } }
    local job = families.run(db, "email.send", { to = "Gone@example.org", text = "x" })
    assert.same({ "completed", { suppressed = gone } }, { job.status, job.result })
    job = families.run(db, "email.send",
      { to = { "Gone@example.org", "bob@example.org" }, text = "x" })
    assert.same(gone, job.result.suppressed)
    assert.same({ "bob@example.org" }, server:next().rcpt)
    job = families.run(db, "email.send", { to = "bob@example.org", text = "x", list = "news" })
    assert.same({ { email = "bob@example.org", reason = "unsubscribed" } }, job.result.suppressed)
    assert.equal(0, server:count())
  end)

  it("ends with the link that is in it", function()
    worker()
    local args = { to = "Ann@example.org", text = "x", list = "news" }
    families.run(db, "email.send", args)
    local token = server:next().list.unsubscribe.url:match "token=(.*)$"
    for _ = 1, 2 do -- twice is once
      local job = families.run(db, "email.unsubscribe", { token = token })
      assert.same({ list = "news", email = "Ann@example.org" }, job.result)
    end
    assert.is_nil(families.run(db, "email.send", args).result.id)
    local forged = families.run(db, "email.unsubscribe", { token = "x" .. token })
    assert.same({ "failed", 1 }, { forged.status, forged.attempt })
    assert.matches("^the token is none of ours", forged.error)
  end)

  it("says which setting asks for a table that is not there", function()
    worker { ["email.suppressed"] =
      "select email, reason from nowhere where $1::text[] is null and $2::bool" }
    local job = families.run(db, "email.send", { to = "a@b.org", text = "x" })
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.matches('^setting email.suppressed: relation "nowhere" does not exist\n'
      .. "hint: jobq config handlers shows the statement", job.error)
  end)

  it("that is cancelled meanwhile ends at once", function()
    worker()
    local id = enqueue("email.send", { to = "hold@example.org", text = "x" })
    server:next()
    assert.is_true(server:next().held)
    db:query("select jobq.cancel($1)", id)
    db:wait_for(id, "cancelled")
  end)

  it("waits for others to its domain, and holds up no other domain", function()
    worker({ ["email.domain_running"] = 1 }, { concurrency = 4 })
    local function to(address)
      return db:enqueue { "email.send", args = codec.encode { to = address, text = "x" },
        limit_key = address:match "@(.*)$" }
    end
    to "hold@one.org"
    server:next()
    assert.is_true(server:next().held)
    local waiting = to "b@one.org"
    db:wait_for(to "c@two.org", "completed")
    assert.same({ "c@two.org" }, server:next().rcpt)
    assert.equal("pending", db:job(waiting).status)
    server:release()
    db:wait_for(waiting, "completed")
    assert.same({ "b@one.org" }, server:next().rcpt)
  end)

  describe("to many", function()
    local function batch_of(id)
      local job = db:wait_for(id, "completed")
      return codec.decode(job.result)
    end

    local function wait_for_report()
      db:wait_until("the report is there",
        "select count(*) = 1 from jobq.job where kind = 'email.report' and status = 'completed'")
      return codec.decode(db:value "select result from jobq.job where kind = 'email.report'")
    end

    it("is one for each, and one report", function()
      worker()
      local id = enqueue("email.batch", {
        name = "welcome", template = "welcome", report_to = "boss@example.com",
        data = { name = "you", url = "https://example.org/" },
        recipients = {
          { to = "Ann <ann@example.org>", data = { name = "Ann" } }, { to = "bob@example.net" },
          { to = "ANN@example.org" }, { to = "gone@example.org" }, { to = "unknown@example.org" },
        },
      })
      assert.same({ batch = 1, mails = 3, suppressed = 1 }, batch_of(id))
      local report = wait_for_report()
      assert.same({
        batch = 1, name = "welcome", total = 4, sent = 2, failed = 1, suppressed = 1, cancelled = 0,
      }, report)
      local subjects, by_subject = {}, {}
      for i = 1, 3 do
        local mail = server:next()
        subjects[i], by_subject[mail.subject] = mail.subject, mail
      end
      table.sort(subjects)
      assert.same({ "Welcome, Ann", "Welcome, you", "welcome: 2 of 4 mails are sent" }, subjects)
      assert.same({ "boss@example.com" }, by_subject["welcome: 2 of 4 mails are sent"].rcpt)
      assert.is_truthy(by_subject["welcome: 2 of 4 mails are sent"].text:find(
        "jobq jobs --batch 1 --status failed", 1, true))
      assert.equal(0, server:count())
      assert.equal(3, db:value [[select count(distinct meta ->> 'limit_key') + 1 from jobq.job
        where kind = 'email.send']])
    end)

    it("is refused as a whole for one that is no address", function()
      worker()
      local job = families.run(db, "email.batch",
        { text = "x", recipients = { { to = "ann@example.org" }, { to = "bob" } } })
      assert.same({ "failed", 1 }, { job.status, job.attempt })
      assert.matches("^recipients%[2%]%.to: 'bob' is not a mail address", job.error)
      assert.equal(1, db:value "select count(*) from jobq.job")
    end)

    local MANY = { text = "x", recipients = {
      { to = "a@one.org" }, { to = "hold@one.org" }, { to = "c@one.org" }, { to = "d@one.org" },
    } }

    it("goes on after kill -9, and nothing is sent a second time that was told of", function()
      local first = worker(nil, QUICK_DEATH)
      batch_of(enqueue("email.batch", MANY))
      local ids = { [server:next().id] = 1 }
      local unclear = server:next()
      assert.same({ "hold@one.org" }, unclear.rcpt)
      assert.is_true(server:next().held)
      db:wait_until("the first is written down",
        "select count(*) = 1 from jobq.job where kind = 'email.send' and status = 'completed'")
      first:kill()
      worker(nil, QUICK_DEATH)
      local report = wait_for_report()
      assert.same({ 4, 4 }, { report.total, report.sent })
      while server:count() > 0 do
        local id = server:next().id
        ids[id] = (ids[id] or 0) + 1
      end
      assert.equal(1, ids[unclear.id]) -- the same Message-ID: its reader has one
      local distinct = 0
      for _, times in pairs(ids) do
        assert.equal(1, times)
        distinct = distinct + 1
      end
      assert.equal(4, distinct)
    end)

    it("stops when it is cancelled in the middle, and says so", function()
      worker()
      batch_of(enqueue("email.batch", MANY))
      server:next()
      server:next()
      assert.is_true(server:next().held)
      db:query "select jobq.cancel_batch(1)"
      local report = wait_for_report()
      assert.same({ 4, 1, 3 }, { report.total, report.sent, report.cancelled })
      assert.equal(0, server:count())
    end)
  end)

  describe("of what has happened", function()
    local function unsent(user)
      return db:value([[select count(*) from app.notifications
        where user_id = $1 and digested_at is null]], user)
    end

    it("is one, told once", function()
      worker()
      local job = families.run(db, "email.digest", { user = 4 })
      assert.same({ "completed", 3 }, { job.status, job.result.items })
      local mail = server:next()
      assert.equal("3 new for you", mail.subject)
      assert.is_truthy(mail.html:find('Dear Dóra &quot;D&quot; &lt;Kovács&gt;,', 1, true))
      assert.is_truthy(mail.html:find("&lt;b&gt;1&lt;/b&gt; &amp; more", 1, true))
      assert.same({ 0, 3 }, { unsent(4), unsent(1) })
      assert.same({ items = 0 }, families.run(db, "email.digest", { user = 4 }).result)
      assert.equal(0, server:count())
    end)

    it("goes to those who have something to be told, and want it", function()
      db:query "insert into app.preferences values (2, 'comment', 'email', false)"
      db:query "update app.notifications set read_at = now() where user_id = 3"
      worker()
      assert.same({ users = 2 }, families.run(db, "email.digests", {}).result)
      local to = { server:next().rcpt[1], server:next().rcpt[1] }
      table.sort(to)
      assert.same({ "ann@example.org", "dora@example.org" }, to)
    end)

    it("of nobody is refused", function()
      worker()
      local job = families.run(db, "email.digest", { user = 77 })
      assert.same({ "failed", 1 }, { job.status, job.attempt })
      assert.matches("^there is no user 77", job.error)
    end)

    it("tells the same after kill -9, and marks no more than it told", function()
      db:query "update app.users set email = 'hold@example.org' where id = 1"
      local first = worker(nil, QUICK_DEATH)
      local id = enqueue("email.digest", { user = 1 })
      local unclear = server:next()
      assert.is_true(server:next().held)
      first:kill()
      assert.equal(3, unsent(1)) -- the server has it, and nobody has written that down
      db:query "insert into app.notifications (user_id, topic, title) values (1, 'comment', 'New')"
      worker(nil, QUICK_DEATH)
      db:wait_for(id, "completed")
      local again = server:next()
      assert.same({ unclear.id, unclear.text, unclear.html }, { again.id, again.text, again.html })
      assert.equal(1, unsent(1)) -- the new one is for the next
      assert.equal(1, families.run(db, "email.digest", { user = 1 }).result.items)
    end)

    it("leaves no mark when it is cancelled in the middle", function()
      db:query "update app.users set email = 'hold@example.org' where id = 1"
      worker()
      local id = enqueue("email.digest", { user = 1 })
      server:next()
      assert.is_true(server:next().held)
      db:query("select jobq.cancel($1)", id)
      db:wait_for(id, "cancelled")
      assert.equal(3, unsent(1))
    end)
  end)
end)
