--- The mail handlers as users test theirs: no server, no database.
local jobq = require "jobq"
local t = require "jobq.testing"

local KEY = "a key of sixteen bytes or more"

describe("email.send", function()
  local run = t.handlers "handlers/"

  before_each(function()
    t.config { ["email.suppressed"] = "" }
  end)

  local function set_up_lists(url)
    t.config { ["email.unsubscribe_url"] = url, ["email.unsubscribe_key"] = KEY }
  end

  local function send(args)
    args.to = args.to or "ann@example.org"
    return run("email.send", args)
  end

  local function discarded(message, args)
    local report = send(args)
    assert.same({ "discard", 0 }, { report.verdict, #report.mails })
    assert.equal(message, report.error)
  end

  it("sends, and keeps what the server said", function()
    t.smtp.replies { 250, "queued as 7" }
    local report = send { subject = "hi", text = "hello\n" }
    assert.equal("done", report.verdict)
    assert.equal("250 queued as 7", report.result.reply)
    assert.same({ "info", "sent" }, { report.logs[1].level, report.logs[1].message })
  end)

  it("gives up on a no, and comes back after a not now", function()
    t.smtp.replies { { 550, "no such user" }, { 451, "later" }, { "connect", "nobody is there" } }
    assert.equal("discard", send { text = "x" }.verdict)
    for _, code in ipairs { "smtp_451", "connect" } do
      local report = send { text = "x" }
      assert.same({ "failed", code, 60 }, { report.verdict, report.code, report.delay })
    end
  end)

  it("says what is wrong with its arguments, and never tries again", function()
    discarded("to[1]: 'ann' is not a mail address", { to = "ann", text = "x" })
    discarded("to[2]: 'bob@' is not a mail address", { to = { "ann@b.org", "bob@" }, text = "x" })
    discarded("to: expected a mail address, got none", { to = {}, text = "x" })
    discarded("from: 'app' is not a mail address", { from = "app", text = "x" })
    discarded("headers.Reply-To: 'app' is not a mail address", { reply_to = "app", text = "x" })
    discarded("expected a template, a text or html", { subject = "x" })
    discarded("template '../x' is not a name of letters, digits, - and _", { template = "../x" })
    discarded("welcome.subject:1: 'name' is not there\n"
      .. "hint: values that are: nam; or write {{name?}}",
      { template = "welcome", data = { nam = "Ann" } })
    assert.matches("^there is no template 'welcom' in .*handlers/templates\n"
      .. "hint: there are: digest, report, welcome$", send({ template = "welcom" }).error)
  end)

  it("says what is wrong with its attachments", function()
    local function refused(message, file)
      discarded("attachments[1]" .. message, { text = "x", html = "x", attachments = { file } })
    end
    refused(": expected a path, or a name and a text or base64", {})
    refused(": expected a path, or a name and a text or base64", { text = "x" })
    refused(": expected one of text, base64 and path, got two",
      { name = "a", text = "x", base64 = "eA==" })
    refused(".name: '../x' is not the name of a file", { name = "../x", text = "x" })
    refused(".cid: 'a b' is not a name like 'logo' or 'logo@example.org'",
      { name = "x", text = "x", cid = "a b" })
    t.config { ["email.attachments"] = "handlers/templates" }
    assert.matches("^attachments%[1%]: '../email.lua' is not below '.*handlers/templates'$", send {
      text = "x", attachments = { { path = "../email.lua" } },
    }.error)
    assert.matches("no.pdf: no such file or directory$", send {
      text = "x", attachments = { { path = "no.pdf" } },
    }.error)
    local report = send { text = "x", attachments = { { name = "a", base64 = "?" } } }
    assert.same({ "discard", "attachments[1]: " },
      { report.verdict, report.error:match "^attachments%[1%]: " })
  end)

  it("lets no argument add a header", function()
    local evil = "x\r\nBcc: evil@example.org"
    local fields = {
      { to = evil }, { to = "A" .. evil .. " <a@b.org>" }, { to = { "a@b.org", evil } },
      { from = evil }, { from = evil .. " <a@b.org>" }, { reply_to = evil },
      { reply_to = evil .. " <a@b.org>" }, { subject = evil }, { subject = "a\nb" },
      { subject = "a\rb" }, { subject = "a\0b" },
      { template = "welcome", data = { name = evil } }, { template = evil },
      { template = "welcome", data = { name = "Ann" }, locale = evil },
      { attachments = { { name = evil, text = "x" } } },
      { attachments = { { name = "a", text = "x", type = "text/plain" .. evil } } },
      { html = "x", attachments = { { name = "a", text = "x", cid = evil } } },
    }
    for i, args in ipairs(fields) do
      args.text = not args.template and "x" or nil
      local report = send(args)
      assert.same({ "discard", 0 }, { report.verdict, #report.mails }, "field " .. i)
    end
  end)

  it("lets no argument add a header where it cannot be refused", function()
    set_up_lists "https://example.org/u"
    t.smtp.replies { 250 }
    local evil = "news\r\nBcc: evil@example.org"
    local report = send { text = "x", list = evil }
    local head = report.mails[1].message:match "^(.-)\r\n\r\n"
    assert.is_nil(head:find("evil", 1, true)) -- in the token, as base64url
    assert.same({ "ann@example.org" }, report.mails[1].to)
  end)

  it("has a link to unsubscribe when it is of a list", function()
    set_up_lists "https://example.org/u"
    t.smtp.replies { { 250 } }
    local report = send {
      to = "Ann@example.org", list = "news", template = "welcome", data = { name = "Ann" },
    }
    local mail = report.mails[1].message
    local link = mail:match "\nList%-Unsubscribe: <(https://example.org/u%?token=[%w_.-]+)>\r\n"
    assert.is_truthy(mail:find("\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", 1, true))
    local payload, signature = link:match "=([%w_-]+)%.([%w_-]+)$"
    assert.equal("news\nAnn@example.org", jobq.crypto.decode(payload, "base64url"))
    assert.equal(signature,
      jobq.crypto.hmac("sha256", KEY, "unsubscribe\n" .. payload, "base64url"))
  end)

  it("of a list goes to one, over https", function()
    discarded("a mail of list 'news' has a link to unsubscribe: it goes to one address, not 2\n"
      .. "hint: email.batch sends one to each",
      { to = { "a@b.org", "c@d.org" }, text = "x", list = "news" })
    discarded("a mail of list 'news' needs a link to unsubscribe\n"
      .. "hint: set email.unsubscribe_url and email.unsubscribe_key", { text = "x", list = "news" })
    set_up_lists "http://example.org/u"
    discarded("email.unsubscribe_url: 'http://example.org/u' does not begin with https://",
      { text = "x", list = "news" })
  end)

  it("is believed when it comes back, and nobody else is", function()
    set_up_lists "https://example.org/u"
    for _, token in ipairs { "", "a.b", "bmV3cwphbm4.AAAA", ("x"):rep(900) } do
      local report = run("email.unsubscribe", { token = token })
      assert.same({ "discard", "the token is none of ours" }, { report.verdict, report.error })
    end
  end)
end)
