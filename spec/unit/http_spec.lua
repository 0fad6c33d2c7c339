--- jobq.http against real servers: python's, and ones that misbehave.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"
local http_server = require "support.http_server"
local process = require "support.process"

local http = jobq.http

local function with_private(options)
  local complete = { allow_private = true, timeout = 10 }
  for name, value in pairs(options or {}) do
    complete[name] = value
  end
  return complete
end

local function request(url, options, seconds)
  options = with_private(options)
  options.url = url
  return core.task.run(function()
    local reply, why, code = http.request(options) -- no tail call: it would hide the line
    return reply, why, code
  end, seconds)
end

local function refused(message, code, ...)
  local reply, why, got = request(...)
  assert.is_nil(reply)
  assert.equal(message, why)
  assert.equal(code, got)
end

local function header(told, name)
  local found = {}
  for _, pair in ipairs(told.headers) do
    if pair[1]:lower() == name:lower() then
      table.insert(found, pair[2])
    end
  end
  return found[1], #found
end

local dir

setup(function()
  dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
end)

teardown(function()
  files.remove(dir)
end)

describe("a request", function()
  it("gets a reply, whatever its status", function()
    local s = http_server.start()
    for _, status in ipairs { 200, 204, 404, 429, 500 } do
      local reply = assert(request(s.url .. "/status/" .. status))
      assert.equal(status, reply.status)
      assert.equal(status < 300, reply.ok)
      assert.equal("1.1", reply.version)
      assert.equal(s.url .. "/status/" .. status, reply.url)
      assert.is_true(reply.seconds > 0 and reply.seconds < 10)
    end
    assert.equal("status 500", request(s.url .. "/status/500").body)
    assert.equal("GET", s:next().method)
  end)

  it("has short forms", function()
    local s = http_server.start()
    for _, method in ipairs { "get", "head", "post", "put", "patch", "delete" } do
      local reply = assert(core.task.run(function()
        local reply, why = http[method](s.url .. "/x", with_private())
        return reply, why
      end))
      assert.equal(method == "head" and "" or "hello", reply.body)
      assert.equal(method:upper(), s:next().method)
    end
  end)

  it("carries a text, JSON or a form", function()
    local s = http_server.start()
    assert(request(s.url, { method = "POST", body = "a\0b" }))
    local told = s:next()
    assert.equal("a\0b", told.body)
    assert.is_nil(header(told, "Content-Type"))
    assert.is_nil(header(told, "Expect"))

    assert(request(s.url, { method = "PUT", json = { id = 9007199254740993, a = {} } }))
    told = s:next()
    assert.equal('{"a":{},"id":9007199254740993}', told.body)
    assert.equal("application/json", header(told, "Content-Type"))

    assert(request(s.url, { method = "POST", form = { a = "ü &=", b = { 1, true } } }))
    told = s:next()
    assert.equal("a=%C3%BC%20%26%3D&b=1&b=true", told.body)
    assert.equal("application/x-www-form-urlencoded", header(told, "Content-Type"))

    assert(request(s.url, { method = "POST" }))
    assert.equal("0", header(s:next(), "Content-Length"))
  end)

  it("says what its headers say", function()
    local s = http_server.start()
    assert(request(s.url .. "/a?x=1#top", {
      headers = { ["X-One"] = "1", ["X-Many"] = { "a", "b" }, ["X-Empty"] = "", ["X-Number"] = 42 },
      query = { q = "a b", page = 2 }, bearer = "t0ken", idempotency_key = "key-1",
    }))
    local told = s:next()
    assert.equal("/a?x=1&page=2&q=a%20b", told.path)
    assert.equal("1", header(told, "X-One"))
    assert.same({ "a", 2 }, { header(told, "X-Many") })
    assert.equal("", header(told, "X-Empty"))
    assert.equal("42", header(told, "X-Number"))
    assert.equal("Bearer t0ken", header(told, "Authorization"))
    assert.equal("key-1", header(told, "Idempotency-Key"))
    assert.equal("jobq", header(told, "User-Agent"))
    assert(request(s.url, { username = "app", password = "secret" }))
    assert.equal("Basic YXBwOnNlY3JldA==", header(s:next(), "Authorization"))
  end)

  it("ignores the proxy variables of the environment", function()
    local s = http_server.start()
    uv.os_setenv("http_proxy", "http://127.0.0.1:1")
    uv.os_setenv("ALL_PROXY", "http://127.0.0.1:1")
    local reply = request(s.url)
    uv.os_unsetenv("http_proxy")
    uv.os_unsetenv("ALL_PROXY")
    assert.equal("hello", assert(reply).body)
  end)

  it("uses connections again, for one run after the other", function()
    local s = http_server.start()
    for _ = 1, 3 do
      assert(request(s.url))
      assert.equal(1, s:next().connection)
    end
  end)
end)

describe("a reply", function()
  it("has headers in any case, joined or each", function()
    local s = http_server.start()
    local headers = assert(request(s.url .. "/headers")).headers
    assert.equal("1", headers["x-one"])
    assert.equal("1", headers["X-ONE"])
    assert.equal("", headers["X-Empty"])
    assert.is_nil(headers["X-None"])
    assert.equal("a=1; Expires=Sat, 01 Jan, b=2", headers["Set-Cookie"])
    assert.same({ "a=1; Expires=Sat, 01 Jan", "b=2" }, headers:all "set-cookie")
    assert.same({}, headers:all "x-none")
    local names = {}
    for name, value in pairs(headers) do
      names[name] = value
    end
    assert.equal("1", names["x-one"])
    assert.equal("x", names["all"])
  end)

  it("is decoded as JSON, exactly", function()
    local s = http_server.start()
    local value = assert(request(s.url .. "/json")):json()
    assert.equal(9007199254740993, value.id)
    assert.equal(jobq.json.null, value.none)
    local none, why, code = assert(request(s.url)):json()
    assert.is_nil(none)
    assert.matches("line 1", why)
    assert.equal("json_invalid", code)
  end)

  it("is unpacked", function()
    local s = http_server.start()
    local reply = assert(request(s.url .. "/gzip/gr%C3%BC%C3%9Fe"))
    assert.equal("grüße", reply.body)
    assert.matches("gzip", (header(s:next(), "Accept-Encoding")))
    local _, _, code = request(s.url .. "/broken")
    assert.equal("bad_reply", code)
  end)

  it("may come after an interim one", function()
    local s = http_server.start()
    local reply = assert(request(s.url .. "/interim"))
    assert.equal(200, reply.status)
    assert.equal("final", reply.body)
    assert.is_nil(reply.headers["X-Early"])
  end)

  it("is limited after it was unpacked", function()
    local s = http_server.start()
    refused("GET " .. s.url .. ": the reply is larger than 1048576 bytes", "too_large",
      s.url .. "/bomb/10737418240", { limit = "1M" }) -- 10 GB
    local file = dir .. "/bomb"
    refused("GET " .. s.url .. ": the reply is larger than 1048576 bytes", "too_large",
      s.url .. "/bomb/10737418240", { limit = "1M", to_file = file })
    assert.is_false(files.exists(file))
    assert.equal(65536, #assert(request(s.url .. "/bytes/65536", { limit = 65536 })).body)
    local _, _, code = request(s.url .. "/bytes/65536", { limit = 65535 })
    assert.equal("too_large", code)
    _, _, code = request(s.url .. "/bytes/20971520")
    assert.equal("too_large", code) -- the default is 10 MB
    refused("GET " .. s.url .. ": the header of the reply is too large", "too_large",
      s.url .. "/head/90")
  end)
end)

describe("a file", function()
  it("is sent while it is read", function()
    local s = http_server.start()
    local block = ("0123456789abcdef"):rep(1 << 16) -- 1 MB
    files.write(dir .. "/up", block:rep(20))
    assert(request(s.url, { method = "PUT", file = dir .. "/up" }))
    local told = s:next()
    assert.equal(20 << 20, told.size)
    assert.equal("PUT", told.method)
    files.write(dir .. "/small", "x")
    assert(request(s.url, { method = "POST", file = dir .. "/small" }))
    assert.equal("x", s:next().body)
    files.write(dir .. "/empty", "")
    assert(request(s.url, { method = "POST", file = dir .. "/empty" }))
    assert.equal(0, s:next().size)
  end)

  it("takes a body while it comes", function()
    local s = http_server.start()
    local file = dir .. "/down"
    local reply = assert(request(s.url .. "/bytes/20971520", { to_file = file }))
    assert.is_nil(reply.body)
    assert.equal(file, reply.file)
    assert.equal(20971520, reply.size)
    assert.equal(("x"):rep(20971520), files.read(file))
    assert(request(s.url .. "/status/204", { to_file = file }))
    assert.equal("", files.read(file))
  end)

  it("never takes an error's body, nor half of one", function()
    local s = http_server.start()
    local file = dir .. "/none"
    local reply = assert(request(s.url .. "/status/404", { to_file = file }))
    assert.equal("status 404", reply.body)
    assert.is_nil(reply.file)
    local _, _, code = request(s.url .. "/short", { to_file = file })
    assert.equal("closed", code)
    assert.is_false(files.exists(file))
    assert.same({}, files.glob(dir .. "/.jobq-*"))
  end)

  it("that cannot be used is named", function()
    local s = http_server.start()
    refused(dir .. "/no/such: no such file or directory", "ENOENT",
      s.url, { method = "PUT", file = dir .. "/no/such" })
    refused(dir .. ": illegal operation on a directory", "EISDIR",
      s.url, { method = "PUT", file = dir })
    refused(dir .. "/no/such: no such file or directory", "ENOENT",
      s.url .. "/bytes/20971520", { to_file = dir .. "/no/such" })
  end)

  it("is left alone by a run that was stopped", function()
    local s = http_server.start()
    local ok = pcall(request, s.url .. "/drip", { to_file = dir .. "/drip" }, 0.3)
    assert.is_false(ok)
    s:wait_closed()
    assert.is_false(files.exists(dir .. "/drip"))
    assert.same({}, files.glob(dir .. "/.jobq-*"))
  end)
end)

describe("a redirect", function()
  it("is followed by GET and HEAD", function()
    local s = http_server.start()
    local reply = assert(request(s.url .. "/to/302//status/201"))
    assert.equal(201, reply.status)
    assert.equal("status 201", reply.body)
    assert.equal("/to/302//status/201", s:next().path)
    assert.equal(s.url .. "/status/201", reply.url)
    assert.is_nil(reply.headers["Location"])
    assert.equal(200, assert(request(s.url .. "/to/301//", { method = "HEAD" })).status)
  end)

  it("is a reply to everything else", function()
    local s = http_server.start()
    assert.equal(302, assert(request(s.url .. "/to/302//status/201", { redirects = 0 })).status)
    local reply = assert(request(s.url .. "/to/303//", { method = "POST", body = "x" }))
    assert.equal(303, reply.status)
    assert.equal("/", reply.headers.location)
  end)

  it("has an end", function()
    local s = http_server.start()
    local _, _, code = request(s.url .. "/loop", { redirects = 3 })
    assert.equal("redirects", code)
    for _ = 1, 4 do
      s:next()
    end
  end)

  it("leads to http and https only", function()
    local s = http_server.start()
    files.write(dir .. "/secret", "x")
    local _, _, code = request(s.url .. "/to/302/file%3A//" .. dir .. "/secret")
    assert.equal("bad_url", code)
    _, _, code = request(s.url .. "/to/302/gopher%3A//127.0.0.1%3A1/")
    assert.equal("bad_url", code)
  end)

  it("does not take a password to another server", function()
    local s, other = http_server.start(), http_server.start()
    assert(request(("%s/to/302/http%%3A//127.0.0.1%%3A%d/there"):format(s.url, other.port), {
      bearer = "t0ken", headers = { ["X-Mine"] = "1" },
    }))
    assert.equal("Bearer t0ken", header(s:next(), "Authorization"))
    local told = other:next()
    assert.equal("/there", told.path)
    assert.is_nil(header(told, "Authorization"))
  end)
end)

describe("an address that is not public", function()
  local function fails(url, options)
    options = options or {}
    options.allow_private = false
    local reply, why, code = request(url, options)
    assert.is_nil(reply)
    assert.equal("private_address", code, why)
    return why
  end

  it("is refused, however it is written", function()
    local s = http_server.start()
    assert.equal(
      "GET " .. s.url .. ": 127.0.0.1 is no public address\n"
        .. "hint: allow_private = true, if it is meant to be reached", fails(s.url))
    for _, host in ipairs {
      "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
      "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]",
    } do
      fails(("http://%s:%d/"):format(host, s.port))
    end
    uv.run "nowait"
    assert.equal(s.seen, #s.process.out_lines) -- nobody came
  end)

  it("is refused on a connection that another run was allowed to make", function()
    local s = http_server.start()
    assert(request(s.url))
    s:next()
    fails(s.url)
    assert.truthy(s:line().closed) -- and no second request before that
  end)

  it("can be allowed by a setting", function()
    local s = http_server.start()
    local function get()
      return core.task.run(function()
        local reply, _, code = http.get(s.url)
        return reply, code
      end)
    end
    assert.same({ nil, "private_address" }, { get() })
    uv.os_setenv("JOBQ_HTTP_ALLOW_PRIVATE", "true")
    local reply = get()
    uv.os_unsetenv("JOBQ_HTTP_ALLOW_PRIVATE")
    assert.equal("hello", reply.body)
  end)
end)

describe("a request that no server should see", function()
  it("is refused for its url", function()
    for _, url in ipairs {
      "", "x", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http:///x", "//127.0.0.1",
      "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\0",
    } do
      local _, why, code = request(url)
      assert.matches("^url: '.*' is not like 'https://example.org/path'$", why)
      assert.equal("bad_url", code)
    end
    refused("url: a number is not like 'https://example.org/path'", "bad_url", 42)
    refused("GET http://127.0.0.1:1: a url with a user in it\nhint: username, password", "bad_url",
      "http://app:secret@127.0.0.1:1/")
    local _, _, code = request("http://127.0.0.1:99999/")
    assert.equal("bad_url", code)
  end)

  it("is refused for its headers", function()
    local url = "http://127.0.0.1:1"
    refused("headers.X-A: 'a??X-B: b' contains control characters", "bad_header",
      url, { headers = { ["X-A"] = "a\r\nX-B: b" } })
    refused("headers.X-A: 'a?b' contains control characters", "bad_header",
      url, { headers = { ["X-A"] = "a\0b" } })
    refused("headers: 'X A' is not the name of a header", "bad_header",
      url, { headers = { ["X A"] = "b" } })
    refused("headers: 'X-A:b' is not the name of a header", "bad_header",
      url, { headers = { ["X-A:b"] = "b" } })
    refused("headers.X-A: expected a text, got a boolean", "bad_header",
      url, { headers = { ["X-A"] = true } })
    refused("bearer: 'a?b' contains control characters", "bad_header", url, { bearer = "a\nb" })
    refused("idempotency_key: 'a?b' contains control characters", "bad_header",
      url, { idempotency_key = "a\nb" })
  end)

  it("raises when the handler is wrong", function()
    local function raises(message, options)
      local ok, why = pcall(request, "http://127.0.0.1:1", options)
      assert.is_false(ok)
      assert.matches("http_spec.lua:%d+: jobq.http: " .. message, why)
    end
    raises("unknown option 'timout'\nhint: did you mean 'timeout'?", { timout = 1 })
    raises("timeout: expected a number, got 'x'", { timeout = "x" })
    raises("timeout: '0' is not from 0 to 86400 seconds", { timeout = 0 })
    raises("method: 'GE T' is none that can be used", { method = "GE T" })
    raises("method: 'CONNECT' is none that can be used", { method = "CONNECT" })
    raises("a request has one body, got body and json", { body = "x", json = {} })
    raises("json: ", { json = print })
    raises("file: 'a%?b' contains a NUL byte", { method = "PUT", file = "a\0b" })
    raises("limit: 'x' is not a number of bytes", { limit = "x" })
    local own = { ["Content-Length"] = 1 }
    raises("headers: 'Content%-Length' comes from the body", { headers = own })
    raises("redirects: a POST is not repeated elsewhere", { method = "POST", redirects = 1 })
    raises("http2: 'x' is not true, false or 'prior_knowledge'", { http2 = "x" })
    assert.error_matches(function() http.get(nil, 1) end, "expected a table of options")
    assert.error_matches(function() http.get("http://x.org") end, "can only wait inside run")
    assert.error_matches(
      function() request("http://x.org", { idempotency_key = true }) end,
      "a job can only be used inside run")
  end)
end)

describe("a server", function()
  it("that is not there", function()
    local s = http_server.start()
    s.process:kill()
    refused("GET " .. s.url .. ": connection refused", "connect", s.url)
    local _, why, code = request("http://no-such-host.invalid/secret")
    assert.matches("^GET http://no%-such%-host%.invalid: ", why)
    assert.is_nil(why:find("secret", 1, true))
    assert.equal("connect", code)
  end)

  it("that is slow", function()
    local s = http_server.start()
    refused("GET " .. s.url .. ": needed more than 0.2 s", "timeout",
      s.url .. "/slow/3", { timeout = 0.2 })
    refused("GET " .. s.url .. ": needed more than 0.5 s", "timeout",
      s.url .. "/drip", { timeout = 0.5 })
  end)

  for name, code in pairs { garbage = "bad_reply", closes = "closed", half = "timeout" } do
    it("that misbehaves: " .. name, function()
      local s = http_server.start("--play", name)
      local _, why, got = request(s.url, { timeout = 1 })
      assert.equal(code, got, why)
    end)
  end

  it("loses its connection at once when the run is stopped", function()
    local s = http_server.start("--play", "silent")
    local start = uv.hrtime()
    local ok, why = pcall(request, s.url, {}, 0.1)
    assert.is_false(ok)
    assert.matches("stopped after 0.1 s", why, 1, true)
    s:wait_closed()
    assert.is_true(uv.hrtime() - start < 5e9)
  end)
end)

describe("TLS", function()
  local ca, cert, key, other

  setup(function()
    local function self_signed(name)
      local base = dir .. "/" .. name
      files.run {
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
        base .. ".key", "-out", base .. ".pem", "-subj", "/CN=" .. name, "-addext",
        "subjectAltName=IP:127.0.0.1",
      }
      return base .. ".pem", base .. ".key"
    end
    cert, key = self_signed("server")
    ca, other = cert, self_signed("other")
  end)

  it("is spoken with whom the certificates vouch for", function()
    local s = http_server.start("--tls", cert, key)
    assert.equal("hello", assert(request(s.url, { ca_file = ca })).body)
    local _, why, code = request(s.url)
    assert.matches("certificate", why)
    assert.equal("tls", code)
    _, _, code = request(s.url, { ca_file = other })
    assert.equal("tls", code)
    _, _, code = request(("https://localhost:%d"):format(s.port), { ca_file = ca })
    assert.equal("tls", code) -- the certificate is for 127.0.0.1
    _, _, code = request(s.url, { ca_file = dir .. "/no/such" })
    assert.equal("tls", code)
  end)

  it("is not left for plain http by a redirect", function()
    local s, plain = http_server.start("--tls", cert, key), http_server.start()
    local url = ("%s/to/302/http%%3A//127.0.0.1%%3A%d/"):format(s.url, plain.port)
    local _, _, code = request(url, { ca_file = ca })
    assert.equal("bad_url", code)
  end)

  it("shows a certificate of ours", function()
    local s = http_server.start("--tls", cert, key, "--client-ca", other)
    local mine = { ca_file = ca, cert_file = other, key_file = other:gsub("pem$", "key") }
    assert.equal("hello", assert(request(s.url, mine)).body)
    local _, _, code = request(s.url, { ca_file = ca })
    assert.is_true(code == "tls" or code == "closed") -- TLS 1.3 says it after the handshake
  end)
end)

describe("HTTP/2", function()
  --- Debian's nghttpd, which speaks nothing else.
  local function start(...)
    local probe = uv.new_tcp()
    assert(probe:bind("127.0.0.1", 0))
    local port = probe:getsockname().port -- free a moment ago
    probe:close()
    local words = { "/usr/sbin/nghttpd", "-a", "127.0.0.1", "-d", dir, tostring(port), ... }
    if select("#", ...) == 0 then
      table.insert(words, 2, "--no-tls")
    end
    process.start(words)
    return port
  end

  local function get(url, options)
    local deadline = uv.hrtime() + process.SECONDS * 1e9
    local reply, why, code
    repeat
      reply, why, code = request(url, options)
    until code ~= "connect" or uv.hrtime() > deadline -- it takes a moment to start
    return assert(reply, why)
  end

  it("is used where TLS agrees on it", function()
    local cert, key = dir .. "/h2.pem", dir .. "/h2.key"
    files.run {
      "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
      "-out", cert, "-subj", "/CN=h2", "-addext", "subjectAltName=IP:127.0.0.1",
    }
    files.write(dir .. "/page", ("hello "):rep(100000))
    local url = ("https://127.0.0.1:%d/page"):format(start(key, cert))
    local reply = get(url, { ca_file = cert })
    assert.equal("2", reply.version)
    assert.equal(("hello "):rep(100000), reply.body)
    assert.equal("600000", reply.headers["Content-Length"])
    reply = get(url, { ca_file = cert, to_file = dir .. "/copy" })
    assert.equal(("hello "):rep(100000), files.read(reply.file))
  end)

  it("can be spoken in the open", function()
    files.write(dir .. "/page", "hello")
    local url = ("http://127.0.0.1:%d/page"):format(start())
    local reply = get(url, { http2 = "prior_knowledge" })
    assert.equal("2", reply.version)
    assert.equal("hello", reply.body)
    assert.is_nil(request(url, { http2 = false }))
  end)
end)
