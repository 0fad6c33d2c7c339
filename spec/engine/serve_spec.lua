--- jobq-run --serve: requests as runs of http.request.
local uv = require "luv"

local codec = require("jobq.core").json
local engine = require "support.engine"
local http_client = require "support.http_client"
local worker = require "support.worker"

local ROUTES = [[
  local jobq = require "jobq"
  local function answer(text, status)
    return jobq.done((status or "200") .. "\r\nContent-Type: text/plain\r\n\r\n" .. text)
  end
  local routes = {}
  function routes.echo(job) return answer(jobq.json.encode(job.args)) end
  function routes.slow() jobq.sleep(0.3) return answer "slow" end
  function routes.late() jobq.sleep(60) end
  function routes.loop() while true do end end
  function routes.hog() return answer(("x"):rep(1 << 30)) end
  function routes.bug() return answer(nil .. "") end
  function routes.odd() return jobq.done "200" end
  function routes.split() return jobq.done "200\r\nA: b\nEvil: c\r\n\r\n" end
  function routes.pid(job) job.log:info("asked") return answer(GENERATION) end
  function routes.select() return answer(tostring(jobq.must(jobq.sql.value "select 42"))) end
  return { request = { timeout = TIMEOUT, run = function(job)
    return routes[job.args.path:match "^/(%w+)"](job)
  end } }
]]

local function routes(generation, timeout)
  return (ROUTES:gsub("GENERATION", ("%q"):format(generation)):gsub("TIMEOUT", timeout or "30"))
end

describe("jobq-run --serve", function()
  local db, dir

  before_each(function()
    db = engine.database()
    dir = engine.handlers { ["http.lua"] = routes("one") }
  end)

  local function serve(options)
    options = options or {}
    options.serve = options.serve or "127.0.0.1:0"
    local w = worker.start(db, dir, options)
    w.address = w:expect("serving").address
    return w
  end

  it("hands a request to a route, and its answer back", function()
    local w = serve()
    local client = http_client.connect(w.address)
    client:send("POST /echo?a=%20b HTTP/1.1\r\nHost: db:1\r\nX-A: \xff\r\nContent-Length: 7\r\n\r\n"
      .. "\"\\\0\n\xc3\xa9\t")
    local answer = client:answer()
    assert.same({ 200, "text/plain" }, { answer.status, answer.fields["content-type"] })
    local got = codec.decode(answer.body)
    assert.same({ "POST", "/echo", "a=%20b", "db:1", "127.0.0.1", "\"\\\0\n\xc3\xa9\t" },
      { got.method, got.path, got.query, got.host, got.peer, got.body })
    assert.same({ { "host", "db:1" }, { "x-a", "\xef\xbf\xbd" }, { "content-length", "7" } },
      got.fields)
    client:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\xff")
    assert.equal(400, client:answer().status)
    client:send("GET /select HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("42", client:answer().body)
    client:close()
  end)

  it("goes on while routes wait, compute, use up memory or fail", function()
    dir:write("http.lua", routes("one", "0.5"))
    local w = serve { executors = 2, job_memory = "16M" }
    for _, path in ipairs { "hog", "bug", "odd", "split", "none" } do
      assert.equal(500, http_client.get(w.address, "/" .. path).status, path)
    end
    assert.equal(503, http_client.get(w.address, "/late").status)
    assert.equal(503, http_client.get(w.address, "/loop").status)
    assert.equal("42", http_client.get(w.address, "/select").body)
  end)

  it("answers many at a time", function()
    local w = serve { executors = 1 }
    local clients = {}
    for i = 1, 50 do
      clients[i] = http_client.connect(w.address)
      clients[i]:send "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    end
    for _, client in ipairs(clients) do
      assert.equal("slow", client:answer().body)
      client:close()
    end
  end)

  it("lives on when an executor is killed, and says so to who waits there", function()
    local w = serve { executors = 1 }
    local client = http_client.connect(w.address)
    client:send "GET /late HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("42", http_client.get(w.address, "/select").body)
    uv.kill(w:executors()[1], "sigkill")
    local answer = client:answer()
    assert.same({ 503, "1" }, { answer.status, answer.fields["retry-after"] })
    client:close()
    assert.equal("42", http_client.get(w.address, "/select").body)
  end)

  it("stops a route whose client has left", function()
    local w = serve { executors = 1, log_level = "debug" }
    local client = http_client.connect(w.address)
    client:send "GET /late HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("42", http_client.get(w.address, "/select").body)
    client:close()
    assert.equal(0, w:stop()) -- at once, not after a minute
  end)

  it("reloads its routes, and keeps them when they are broken", function()
    local w = serve()
    assert.equal("one", http_client.get(w.address, "/pid").body)
    w:expect "asked"
    dir:write("http.lua", routes("two"))
    w:signal "sighup"
    w:expect "reloaded"
    assert.equal("two", http_client.get(w.address, "/pid").body)
    dir:write("http.lua", "return {")
    w:signal "sighup"
    assert.matches("http.lua:1: ", w:expect("reload failed").error)
    assert.equal("two", http_client.get(w.address, "/pid").body)
  end)

  it("answers what it has begun before it ends", function()
    local w = serve()
    local client = http_client.connect(w.address)
    client:send "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("42", http_client.get(w.address, "/select").body)
    w:signal "sigterm"
    local answer = client:answer()
    assert.same({ 200, "close" }, { answer.status, answer.fields.connection })
    client:close()
    assert.equal(0, w:wait())
  end)

  it("says what is wrong when it starts", function()
    local function fails(status, message, options)
      local w = worker.start(db, dir, options)
      assert.equal(status, w:wait())
      assert.matches(message, w:errors(), 1, true)
    end
    local w = serve()
    fails(1, "cannot listen on " .. w.address .. ": address already in use", { serve = w.address })
    fails(2, "'localhost:1' is no address and port, expected e.g. 127.0.0.1:7070",
      { serve = "localhost:1" })
    fails(2, "'127.0.0.1:65536' is no address and port", { serve = "127.0.0.1:65536" })
    dir = engine.handlers { ["demo.lua"] = "return { ok = { run = function() end } }" }
    fails(3, "the handlers define no kind 'http.request'", { serve = "127.0.0.1:0" })
  end)
end)
