--- jobq.smtp against real servers: Debian's aiosmtpd, and ones that misbehave.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"
local smtp_server = require "support.smtp_server"

local smtp = jobq.smtp

local server = smtp_server.start

local function send(to_server, mail, seconds)
  local defaults = {
    to = "ann@example.org", from = "app@example.com", subject = "hi", text = "hello",
    port = to_server.port, timeout = 10,
  }
  for name, value in pairs(mail or {}) do
    defaults[name] = value
  end
  return core.task.run(function()
    local sent, why, code = smtp.send(defaults) -- no tail call: it would hide the line
    return sent, why, code
  end, seconds)
end

local function refused(message, code, ...)
  local sent, why, got = send(...)
  assert.is_nil(sent)
  assert.equal(message, why)
  assert.equal(code, got)
end

local function header(mail, name)
  for _, pair in ipairs(mail.headers) do
    if pair[1] == name then
      return pair[2]
    end
  end
end

describe("a mail", function()
  it("arrives as it was sent", function()
    local s = server()
    local sent = assert(send(s, { message_id = "<job.1@example.com>" }))
    assert.same({ id = "<job.1@example.com>", reply = "250 2.0.0 queued as 4711" }, sent)
    local mail = s:next()
    assert.equal("app@example.com", mail.mail_from)
    assert.same({ "ann@example.org" }, mail.rcpt_tos)
    assert.equal("hi", mail.subject)
    assert.equal("hello\n", mail.text)
    assert.equal("<job.1@example.com>", header(mail, "Message-ID"))
    assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d %+0000$", header(mail, "Date"))
    assert.same({}, mail.defects)
    assert.is_false(mail.tls)
  end)

  it("goes to several recipients, with their names", function()
    local s = server()
    assert(send(s, {
      to = { "Ann Smith <ann@example.org>", '"Bob, Jr." <bob@example.org>', "Zoë <z@example.org>" },
      headers = { ["X-Tag"] = "a, b", ["Reply-To"] = "Jörg <j@example.org>" },
    }))
    local mail = s:next()
    assert.same({ "ann@example.org", "bob@example.org", "z@example.org" }, mail.rcpt_tos)
    assert.same({
      { "Ann Smith", "ann@example.org" }, { "Bob, Jr.", "bob@example.org" },
      { "Zoë", "z@example.org" },
    }, mail.to)
    assert.equal("a, b", header(mail, "X-Tag"))
    assert.equal("Jörg <j@example.org>", header(mail, "Reply-To"))
    assert.same({}, mail.defects)
  end)

  it("says to programs what they read, in one piece", function()
    local s = server()
    local link = "<https://example.org/unsubscribe?token=" .. ("a-_b"):rep(100) .. ">"
    assert(send(s, { headers = {
      ["List-Unsubscribe"] = link, ["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click",
    } }))
    assert.is_truthy(s:next().raw:find("\r\nList-Unsubscribe: " .. link .. "\r\n", 1, true))
    for _, value in ipairs { "<https://exämple.org>", ("x"):rep(901) } do
      refused(("headers.List-Id: '%s' is not a line of ascii of at most 900 bytes"):format(value),
        "bad_header", { port = 1 }, { headers = { ["List-Id"] = value } })
    end
  end)

  it("keeps every text that may be in it", function()
    local s = server()
    local texts = {
      [1] = "",
      [2] = ".\n..\n.dot\n\n.",
      [3] = "trailing blanks \t\nand = signs =3D\n",
      [4] = "grüße aus köln, €5\n",
      [5] = ("日本語のテキスト\n"):rep(50),
      [6] = ("x"):rep(3000),
      [7] = ("ü"):rep(3000),
      [8] = "From here\nQUIT\n",
      [9] = ("line\n"):rep(20000),
    }
    for i, text in ipairs(texts) do
      assert(send(s, { text = text, subject = "text " .. i }))
      local mail = s:next()
      assert.equal("text " .. i, mail.subject)
      local expected = (text == "" or text:find("\n$")) and text or text .. "\n"
      local got = mail.text == "" and "" or mail.text:gsub("\n?$", "\n")
      assert.equal(expected, got)
      assert.same({}, mail.defects)
      for line in mail.raw:gmatch("([^\n]*)\r\n") do
        assert.is_true(#line <= 998)
      end
    end
  end)

  it("keeps every subject that may be in it", function()
    local s = server()
    local subjects = {
      "", "plain", "Grüße", ("Ünïcödé "):rep(30) .. ".", ("日本語"):rep(40), ("long "):rep(60) .. ".",
      "=?UTF-8?Q?not_encoded?=", "50 % = half", "a😀b",
    }
    for _, subject in ipairs(subjects) do
      assert(send(s, { subject = subject }))
      local mail = s:next()
      assert.equal(subject, mail.subject)
      assert.same({}, mail.defects)
    end
  end)

  it("may have two bodies", function()
    local s = server()
    assert(send(s, { text = "grüße\n", html = "<p>grüße</p>\n" }))
    local mail = s:next()
    assert.equal("grüße\n", mail.text)
    assert.equal("<p>grüße</p>\n", mail.html)
    assert.same({}, mail.defects)
  end)

  it("cannot be ended early by a lone CR or LF", function()
    local s = server()
    assert(send(s, { text = "a\r.\rMAIL FROM:<x@y>\n.\nb\r\n.\r\nc\n.\rd" }))
    local mail = s:next()
    assert.equal("a\n.\nMAIL FROM:<x@y>\n.\nb\n.\nc\n.\nd\n", mail.text)
    assert.equal(0, s:count())
  end)

  it("gets a Message-ID that belongs to the job", function()
    local id = smtp.message_id { id = 42, created_at = 1700000000.25 }
    assert.matches("^<job%.42%.%x+@localhost>$", id)
    assert.equal(id, smtp.message_id { id = 42, created_at = 1700000000.25 })
    assert.not_equal(id, smtp.message_id { id = 42, created_at = 1700000001.25 })
  end)
end)

describe("an address", function()
  it("is taken apart", function()
    assert.same({ address = "ann@Example.org", domain = "example.org" },
      smtp.parse_address "ann@Example.org")
    assert.same({ address = "z@exämple.org", domain = "exämple.org", name = "Zoë, Jr." },
      smtp.parse_address '"Zoë, Jr." <z@exämple.org>')
  end)

  it("is refused when it is none", function()
    for _, text in ipairs { "ann", "ann@", "a@b.org\r\nBcc: x@y.org", 7 } do
      local found, why, code = smtp.parse_address(text)
      assert.is_nil(found)
      assert.matches("^.* is not a mail address$", why)
      assert.equal("bad_address", code)
    end
  end)
end)

describe("a mail that no server should see", function()
  local nowhere = { port = 1 }

  it("is refused for its addresses", function()
    local bad = {
      "", "ann", "ann@", "@example.org", "a b@example.org", "ann@example.org\r\nRCPT TO:<x@y>",
      "ann@example.org\n", "<ann@example.org", "ann@example.org>", "a@b@c", "ann@ex..org",
      "Ann\r\nBcc: x@y.org <ann@example.org>", ("x"):rep(300) .. "@example.org",
    }
    for _, address in ipairs(bad) do
      local _, why, code = send(nowhere, { to = address })
      assert.matches("^to: '.*' is not a mail address$", why)
      assert.equal("bad_address", code)
      _, _, code = send(nowhere, { from = address })
      assert.equal("bad_address", code)
    end
    refused("to: expected a mail address or an array of them, got none", "bad_address",
      nowhere, { to = {} })
    refused("to: a number is not a mail address", "bad_address", nowhere, { to = 42 })
    refused("to[2]: 'x' is not a mail address", "bad_address", nowhere, { to = { "a@b.org", "x" } })
  end)

  it("is refused for its headers", function()
    refused("subject: 'a??Bcc: x' contains control characters", "bad_header",
      nowhere, { subject = "a\r\nBcc: x" })
    refused("subject: expected a text, got a number", "bad_header", nowhere, { subject = 1 })
    refused("headers.X-A: 'a?b' contains control characters", "bad_header",
      nowhere, { headers = { ["X-A"] = "a\nb" } })
    refused("headers: 'X A' is not the name of a header", "bad_header",
      nowhere, { headers = { ["X A"] = "b" } })
    refused("message_id: 'x' is not like '<id@domain>'", "bad_header",
      nowhere, { message_id = "x" })
  end)

  it("raises when the handler is wrong", function()
    local function raises(message, mail)
      local ok, why = pcall(send, nowhere, mail)
      assert.is_false(ok)
      assert.matches("smtp_spec.lua:%d+: jobq.smtp.send: " .. message, why)
    end
    raises("unknown field 'subjct'\nhint: did you mean 'subject'?", { subjct = "x" })
    raises("text: expected a string, got a number", { text = 1 })
    raises("headers: 'bcc' comes from the field 'to'", { headers = { bcc = "a@b.org" } })
    raises("port: 'x' is not an integer", { port = "x" })
    assert.error_matches(
      function() smtp.send({ to = "a@b.org", text = "" }) end, "can only wait inside run")
  end)
end)

describe("a server", function()
  it("says no for good, or for now", function()
    local s = server()
    refused("smtp 550 5.1.1 no such user (unknown@example.org)", "smtp_550",
      s, { to = { "ann@example.org", "unknown@example.org" } })
    refused("smtp 451-4.7.1 greylisted 4.7.1 come back later (later@example.org)", "smtp_451",
      s, { to = "later@example.org" })
    refused("smtp 554 5.7.1 looks like spam", "smtp_554", s, { subject = "spam" })
    assert.equal(0, s:count())
    assert.is_true(smtp.is_permanent "smtp_550")
    assert.is_true(smtp.is_permanent "bad_address")
    for _, code in ipairs { "smtp_451", "connect", "login", "tls", "timeout", "closed" } do
      assert.is_false(smtp.is_permanent(code))
    end
  end)

  it("takes addresses beyond ascii when it says so", function()
    local s = server()
    assert(send(s, { to = "zoë@exämple.org" }))
    assert.same({ "zoë@exämple.org" }, s:next().rcpt_tos)
  end)

  it("is slow with its last word, and nothing else waits for it", function()
    local s = server()
    local start = uv.hrtime()
    local ok = pcall(send, s, { subject = "slow" }, 0.3)
    assert.is_false(ok)
    assert.is_true(uv.hrtime() - start < 2e9)
  end)

  it("is not there", function()
    local s = server("--play", "silent")
    local gone = s.port
    s.process:kill()
    refused(("cannot reach the smtp server at 127.0.0.1:%d: connection refused"):format(gone),
      "connect", { port = gone })
    local _, why, code = send({ port = 25 }, { host = "no-such-host.invalid" })
    assert.matches("^cannot reach the smtp server at no%-such%-host%.invalid:25: ", why)
    assert.equal("connect", code)
  end)

  local plays = {
    busy = { "smtp 421 4.7.0 too many connections", "smtp_421" },
    blocked = { "smtp 554 5.7.1 we do not know you", "smtp_554" },
    garbage = { "what answers at 127.0.0.1:PORT does not speak smtp", "closed" },
    endless = { "what answers at 127.0.0.1:PORT does not speak smtp", "closed" },
    ["no line"] = { "what answers at 127.0.0.1:PORT does not speak smtp", "closed" },
    silent = { "the smtp server at 127.0.0.1:PORT needed more than 1 s", "timeout" },
    half = { "the smtp server at 127.0.0.1:PORT needed more than 1 s", "timeout" },
    closes = { "the smtp server at 127.0.0.1:PORT closed the connection", "closed" },
    utf8 = { "smtp 550 \u{fffd}t\u{fffd} é", "smtp_550" },
  }
  for name, expected in pairs(plays) do
    it("misbehaves: " .. name, function()
      local s = server("--play", name)
      refused(expected[1]:gsub("PORT", s.port), expected[2], s, { timeout = 1 })
    end)
  end

  it("does not hold up a stop", function()
    for _, name in ipairs { "silent", "half" } do
      local s = server("--play", name)
      local start = uv.hrtime()
      local ok, why = pcall(send, s, {}, 0.1)
      assert.is_false(ok)
      assert.matches("stopped after 0.1 s", why, 1, true)
      assert.is_true(uv.hrtime() - start < 5e9)
    end
  end)

  it("never gets half a mail from a stopped run", function()
    local s = server()
    pcall(send, s, { text = ("x\n"):rep(10000000) }, 0.2)
    assert(send(s, { subject = "after" }))
    assert.equal("after", s:next().subject)
  end)
end)

describe("a login", function()
  local dir, cert, key

  setup(function()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
    cert, key = dir .. "/cert.pem", dir .. "/key.pem"
    files.run {
      "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
      "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
    }
  end)

  teardown(function()
    files.remove(dir)
  end)

  local function with(changes)
    local mail = { username = "app", password = "secret", ca_file = cert, tls = "starttls" }
    for name, value in pairs(changes or {}) do
      mail[name] = value
    end
    return mail
  end

  it("works over STARTTLS", function()
    local s = server("--starttls", cert, key, "--login", "app", "secret")
    assert(send(s, with()))
    local mail = s:next()
    assert.equal("app", mail.user)
    assert.is_true(mail.tls)
  end)

  it("may be with a secret", function()
    local s = server("--starttls", cert, key, "--login", "app", "secret")
    assert(send(s, with { password = core.secret.new("smtp.password", "secret") }))
    assert.equal("app", s:next().user)
  end)

  it("works over TLS from the start", function()
    local s = server("--tls", cert, key)
    assert(send(s, with { tls = "tls", username = false and "" or nil }))
    assert.equal("hi", s:next().subject)
    assert(send(s, with { tls = "tls", text = ("a long text\n"):rep(50000) }))
    assert.equal(600000, #s:next().text)
  end)

  it("with a wrong password is no fault of the mail", function()
    local s = server("--starttls", cert, key, "--login", "app", "secret")
    refused("smtp 535 5.7.8 Authentication credentials invalid", "login",
      s, with { password = "wrong" })
  end)

  it("that the server wants and nobody gives is no fault of the mail either", function()
    local s = server("--starttls", cert, key, "--login", "app", "secret")
    local mail = with()
    mail.username, mail.password = nil, nil
    refused("smtp 530 5.7.0 Authentication required", "login", s, mail)
  end)

  it("is not even tried with a certificate that nobody vouches for", function()
    local s = server("--starttls", cert, key, "--login", "app", "secret")
    local mail = with()
    mail.ca_file = nil
    local _, why, code = send(s, mail)
    assert.matches("certificate", why)
    assert.equal("tls", code)
  end)

  it("is not given in the open when STARTTLS was asked for", function()
    local s = server("--login", "app", "secret")
    local _, _, code = send(s, with())
    assert.equal("tls", code)
  end)
end)
