--- Attachments of jobq.smtp, as a parser that is not ours sees them (spec/unit/smtp_server.py).
local core = require "jobq.core"
local jobq = require "jobq"

local uv = require "luv"

local files = require "support.files"
local smtp_server = require "support.smtp_server"

local function send(server, attachments, fields)
  local mail = {
    to = "ann@example.org", from = "app@example.com", subject = "hi", text = "hello\n",
    port = server.port, timeout = 10, attachments = attachments,
  }
  for name, value in pairs(fields or {}) do
    mail[name] = value
  end
  return core.task.run(function()
    local sent, why, code = jobq.smtp.send(mail) -- no tail call: it would hide the line
    return sent, why, code
  end)
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function every_byte()
  local bytes = {}
  for i = 0, 255 do
    bytes[#bytes + 1] = string.char(i)
  end
  return table.concat(bytes)
end

describe("an attachment", function()
  local server, dir

  setup(function()
    server = smtp_server.start()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
  end)

  teardown(function()
    files.remove(dir)
  end)

  local function received(...)
    assert(send(server, ...))
    local mail = server:next()
    assert.same({}, mail.defects)
    return mail.attachments, mail
  end

  it("arrives byte by byte, beside both texts", function()
    local contents = {
      "", "x", ".\r\n.\r\n", every_byte():rep(500), ("\0"):rep(56), ("\255"):rep(57),
    }
    for _, content in ipairs(contents) do
      local got, mail = received({ { name = "data.bin", content = content } },
        { html = "<p>hello</p>\n" })
      assert.equal("hello\n", mail.text)
      assert.equal("<p>hello</p>\n", mail.html)
      assert.equal(1, #got)
      assert.equal(hex(content), got[1].hex)
      for line in mail.raw:gmatch("([^\n]*)\r\n") do
        assert.is_true(#line <= 78)
      end
    end
  end)

  it("is read from the disk, and called after its file", function()
    local path = dir .. "/Rechnung März.pdf"
    files.write(path, "%PDF" .. every_byte())
    local got = received { { path = path }, { path = path, name = "other.txt" } }
    assert.same({ "Rechnung März.pdf", "application/pdf" }, { got[1].name, got[1].type })
    assert.same({ "other.txt", "text/plain" }, { got[2].name, got[2].type })
    assert.equal("utf-8", got[2].charset)
    assert.equal(hex("%PDF" .. every_byte()), got[1].hex)
    assert.equal(got[1].hex, got[2].hex)
    assert.equal("attachment", got[1].disposition)
  end)

  it("keeps every name that may be one", function()
    local names = {
      "plain.txt", "two words.txt", 'quoted "name".txt', "50% *off*'; x=y.txt", "日本語.txt",
      ("ü"):rep(127), ("x"):rep(255), "a;b=c,d.txt", "=?UTF-8?Q?no?=.txt", ".hidden", "😀 😀.zip",
    }
    local attachments = {}
    for i, name in ipairs(names) do
      attachments[i] = { name = name, content = "x" }
    end
    local got = received(attachments)
    for i, name in ipairs(names) do
      assert.equal(name, got[i].name)
    end
  end)

  it("has the type that its name or its field says", function()
    local got = received {
      { name = "a.PDF", content = "x" },
      { name = "a.unknown", content = "x" },
      { name = "a", content = "x" },
      { name = "a.pdf", content = "x", type = "text/csv; charset=iso-8859-1" },
    }
    local types = {}
    for i, attachment in ipairs(got) do
      types[i] = attachment.type
    end
    local unknown = "application/octet-stream"
    assert.same({ "application/pdf", unknown, unknown, "text/csv" }, types)
    assert.equal("iso-8859-1", got[4].charset)
  end)

  it("is shown within the html when it has a cid", function()
    local html = '<img src="cid:logo"><img src="cid:b@example.org">\n'
    local got, mail = received({
      { name = "logo.png", content = every_byte(), cid = "logo" },
      { name = "list.csv", content = "a,b" },
      { name = "b.gif", content = "GIF", cid = "b@example.org" },
    }, { html = html })
    assert.same({ "list.csv" }, { #got == 1 and got[1].name })
    assert.same({ "hello\n", html }, { mail.text, mail.html })
    local around = { "mixed", "alternative", "related" }
    assert.same({
      { cid = "<logo>", type = "image/png", disposition = "inline", around = around,
        hex = hex(every_byte()) },
      { cid = "<b@example.org>", type = "image/gif", disposition = "inline", around = around,
        hex = hex("GIF") },
    }, mail.shown)
  end)

  it("is shown by an html that is alone, too", function()
    assert(send(server, { { name = "a.png", content = "x", cid = "a" } },
      { html = "<img src='cid:a'>" }))
    local mail = server:next()
    assert.same({ "hello\n", "a.png" }, { mail.text, mail.raw:match('filename="(.-)"') })
    local sent, why, code = send({ port = 1 }, { { name = "a.png", content = "x", cid = "a" } })
    assert.is_nil(sent)
    assert.same({
      "attachments: one has a cid, and there is no html that could show it", "bad_attachment",
    }, { why, code })
  end)

  it("that is not there sends nothing", function()
    local sent, why, code = send(server, { { path = dir .. "/no" } })
    assert.is_nil(sent)
    assert.equal(("attachments[1]: %s/no: no such file or directory"):format(dir), why)
    assert.equal("ENOENT", code)
    assert.is_false(jobq.smtp.is_permanent(code))
    sent, why, code = send(server, { { name = "a", content = "" }, { path = dir, name = "b" } })
    assert.is_nil(sent)
    assert.matches("^attachments%[2%]: .*: illegal operation on a directory$", why)
    assert.equal("EISDIR", code)
    assert.equal(0, server:count())
  end)

  it("is refused for what cannot be sent", function()
    local function refused(message, attachment)
      local sent, why, code = send({ port = 1 }, { attachment })
      assert.is_nil(sent)
      assert.equal("attachments[1]." .. message, why)
      assert.equal("bad_attachment", code)
      assert.is_true(jobq.smtp.is_permanent(code))
    end
    refused("name: 'a??b' contains control characters", { name = "a\r\nb", content = "" })
    for _, name in ipairs { "", ".", "..", "../x", "/etc/x", "C:\\x", "a\255" } do
      refused(("name: '%s' is not the name of a file"):format(name), { name = name, content = "" })
    end
    refused("name: '' is not the name of a file", { path = "/tmp/" })
    refused("name: 256 bytes are more than 255", { name = ("x"):rep(256), content = "" })
    refused("path: '' is not a path", { path = "" })
    refused("path: 'a?b' is not a path", { path = "a\0b" })
    for _, cid in ipairs { "", "a b", "<a>", "a@b@c", "a@", "ä", ("x"):rep(201) } do
      refused(("cid: '%s' is not a name like 'logo' or 'logo@example.org'"):format(cid),
        { name = "a", content = "", cid = cid })
    end
    refused("cid: 'a??b' is not a name like 'logo' or 'logo@example.org'",
      { name = "a", content = "", cid = "a\r\nb" })
    local types = { "pdf", "a/b/c", "a/b; x", "a/b; x=y; z", "multipart/mixed", "Message/x" }
    for _, type_name in ipairs(types) do
      refused(("type: '%s' is not a type like 'text/csv; charset=utf-8'"):format(type_name),
        { name = "a", content = "", type = type_name })
    end
    refused("type: 'a/b?X: y' contains control characters",
      { name = "a", content = "", type = "a/b\nX: y" })
  end)

  it("shares its cid with no other", function()
    local one = { name = "a.png", content = "x", cid = "a" }
    local sent, why = send({ port = 1 }, { one, one })
    assert.is_nil(sent)
    assert.equal("attachments[2].cid: 'a' is that of attachments[1] already", why)
  end)

  it("raises when the handler is wrong", function()
    local function raises(message, attachments)
      local ok, why = pcall(send, { port = 1 }, attachments)
      assert.is_false(ok)
      assert.matches("attachment_spec.lua:%d+: jobq.smtp.send: attachments", why)
      assert.equal(message, why:match("jobq.smtp.send: (.*)$"))
    end
    raises("attachments: expected a table, got 'x'", "x")
    raises("attachments: expected an array of tables", { path = "/x" })
    raises("attachments[1]: expected a table like { path = '/a/file.pdf' }, got '/x'", { "/x" })
    raises("attachments[1]: unknown field 'pth'\nhint: did you mean 'path'?", { { pth = "/x" } })
    raises("attachments[1].content: expected a string, got a number", { { content = 1 } })
    raises("attachments[1]: expected either content or path", { {} })
    raises("attachments[1]: expected either content or path", { { content = "", path = "/x" } })
    raises("attachments[1]: content needs a name", { { content = "" } })
  end)
end)
