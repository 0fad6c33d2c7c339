--- Connections of jobq.smtp that are kept for the next mail, as the server sees them.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local process = require "support.process"
local smtp_server = require "support.smtp_server"

local function send_in_run(server, fields)
  local mail = {
    to = "ann@example.org", subject = "hi", text = "hello", port = server.port, timeout = 10,
  }
  for name, value in pairs(fields or {}) do
    mail[name] = value
  end
  local sent, why, code = jobq.smtp.send(mail)
  return sent, why, code
end

local function send(server, fields)
  return core.task.run(function()
    local sent, why, code = send_in_run(server, fields) -- no tail call: it would hide the line
    return sent, why, code
  end)
end

local function send_at_once(server, count)
  local functions = {}
  for i = 1, count do
    functions[i] = function()
      local sent, why = send_in_run(server)
      return sent, why
    end
  end
  assert(core.task.run(function()
    local all, why = jobq.parallel(functions)
    return all, why
  end))
end

--- What is idle turns no loop by itself.
local function turn_until(condition)
  core.task.run(function()
    while not condition() do
      jobq.sleep(0.01)
    end
  end, 10)
end

--- The numbers of the connections that the next n mails came over.
local function connections_of(server, n)
  local numbers = {}
  while #numbers < n do
    local told = server:next()
    if told.mail then
      numbers[#numbers + 1] = math.tointeger(told.connection)
    end
  end
  return numbers
end

--- What the server of that name sees of two mails, one after the other.
local function two_mails(name)
  local server = smtp_server.start("--wire", name)
  assert(send(server))
  local first = connections_of(server, 1)[1]
  assert(send(server))
  return first, connections_of(server, 1)[1], server
end

local function mails_left(server)
  local count = 0
  while server:count() > 0 do
    count = count + (server:next().mail and 1 or 0)
  end
  return count
end

local function wait_over(server, connection)
  local told
  repeat
    told = server:next()
  until told.over and told.connection == connection
end

describe("a connection to a mail server", function()
  it("is kept for the next mail", function()
    local server = smtp_server.start("--wire", "good")
    for _ = 1, 3 do
      assert(send(server))
    end
    assert.same({ 1, 1, 1 }, connections_of(server, 3))
  end)

  it("begins anew with RSET", function()
    local server = smtp_server.start("--wire", "good")
    assert(send(server))
    connections_of(server, 1)
    assert(send(server))
    assert.equal("RSET", server:next().said)
    assert.matches("^MAIL FROM:", server:next().said)
  end)

  it("is kept after a no to one mail", function()
    local server = smtp_server.start("--wire", "picky")
    local sent, _, code = send(server, { to = "unknown@example.org" })
    assert.is_nil(sent)
    assert.equal("smtp_550", code)
    assert(send(server))
    assert.same({ 1 }, connections_of(server, 1))
  end)

  it("is not kept after 421", function()
    local server = smtp_server.start("--wire", "tired")
    local _, _, code = send(server, { to = "unknown@example.org" })
    assert.equal("smtp_421", code)
    assert(send(server))
    assert.same({ 2 }, connections_of(server, 1))
  end)

  it("is each run's own while mails are under way", function()
    local server = smtp_server.start("--wire", "good")
    send_at_once(server, 3)
    local numbers = connections_of(server, 3)
    table.sort(numbers)
    assert.same({ 1, 2, 3 }, numbers)
  end)

  it("is not lent to another login", function()
    local server = smtp_server.start("--wire", "good")
    local logins = {
      {}, { host = "localhost" }, { username = "app" }, { username = "app", password = "x" },
      { username = "app", password = "y" }, { ca_file = "/etc/ssl/certs/ca-certificates.crt" },
    }
    for _ = 1, 2 do
      for i, login in ipairs(logins) do
        assert(send(server, login)) -- it offers no AUTH, so libcurl tells it neither
        assert.same({ i }, connections_of(server, 1))
      end
    end
  end)

  it("is given up with QUIT when nobody has wanted it for so long", function()
    local server = smtp_server.start("--wire", "good")
    assert(send(server, { idle = 1 }))
    connections_of(server, 1)
    turn_until(function() return server:count() > 0 end)
    assert.equal("QUIT", server:next().said)
    assert.is_true(server:next().over)
    assert(send(server))
    assert.same({ 2 }, connections_of(server, 1))
  end)

  it("is not kept when nobody wants that", function()
    local server = smtp_server.start("--wire", "good")
    assert(send(server, { idle = 0 }))
    connections_of(server, 1)
    assert.equal("QUIT", server:next().said)
    assert(send(server, { idle = 0 }))
    assert.same({ 2 }, connections_of(server, 1))
  end)

  it("that the server has closed is replaced, and no mail is lost or sent twice", function()
    for _, name in ipairs { "leaves", "gone", "busy", "odd" } do
      local first, second, server = two_mails(name)
      assert.same({ 1, 2 }, { first, second }, name)
      assert.equal(0, mails_left(server), name)
    end
  end)

  it("that does not answer any more is replaced within the time of the mail", function()
    local server = smtp_server.start("--wire", "mute")
    assert(send(server))
    assert(send(server, { timeout = 1 }))
    assert.same({ 1, 2 }, connections_of(server, 2))
  end)

  it("that breaks after the mail's last dot sends no second one", function()
    local server = smtp_server.start("--wire", "cuts")
    local _, why, code = send(server)
    assert.equal("closed", code)
    assert.matches("closed the connection$", why)
    wait_over(server, 1)
    assert.equal(0, mails_left(server))
  end)

  it("is noticed at once when it ends while idle", function()
    local server = smtp_server.start("--wire", "leaves")
    local function descriptors()
      return process.descriptors(uv.os_getpid())
    end
    assert(send(server, { idle = 0 }))
    local before = descriptors()
    assert(send(server))
    turn_until(function() return descriptors() == before end)
    assert.same({ 1, 2 }, connections_of(server, 2))
  end)

  it("is one of 8 at most that nobody uses", function()
    local server = smtp_server.start("--wire", "good")
    send_at_once(server, 12)
    connections_of(server, 12)
    send_at_once(server, 12)
    assert.equal(16, math.max(table.unpack(connections_of(server, 12))))
  end)
end)
