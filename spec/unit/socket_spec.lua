--- jobq.socket against a real server: spec/unit/socket_server.py.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"
local process = require "support.process"

local socket = jobq.socket

local MUCH = ("x"):rep(1000):rep(20000) -- more than any buffer between two processes

local server, port

local function run(f, seconds)
  return core.task.run(f, seconds or process.SECONDS)
end

--- Runs f with a connection that has sent this first line.
local function with(line, f, seconds)
  return run(function()
    local s <close> = assert(socket.connect { host = "127.0.0.1", port = port })
    assert(s:write(line .. "\n"))
    return f(s)
  end, seconds)
end

--- Connections that have ended, as the server sees it.
local function ended()
  uv.run "nowait"
  return #server.out_lines - 1
end

local function refused(message, code, value, why, got)
  assert.is_nil(value)
  assert.equal(message, why)
  assert.equal(code, got)
end

local function name()
  return "127.0.0.1:" .. port
end

local fds

describe("jobq.socket", function()
  setup(function()
    run(function() socket.connect { host = "localhost", port = 1 } end) -- loads what stays open
    process.start({ "true" }):wait()
  end)

  before_each(function()
    server = process.start { "/usr/bin/python3", "spec/unit/socket_server.py" }
    server:wait_until(function() return server.out_lines[1] end, "the port")
    port = math.tointeger(server.out_lines[1])
    run(function() jobq.sleep(0) end)
    fds = #files.list "/proc/self/fd"
  end)

  after_each(function()
    run(function() jobq.sleep(0.001) end)
    assert.equal(fds, #files.list "/proc/self/fd")
  end)

  it("reads lines, bytes and all", function()
    with("echo", function(s)
      assert(s:write "one\r\ntwo\n\nabcdefrest\n")
      assert.equal("one", s:read "line")
      assert.equal("two", s:read "line")
      assert.equal("", s:read "line")
      assert.equal("abc", s:read(3))
      assert.equal("def", s:read(3))
      assert.is_true(s:shutdown())
      assert.equal("rest\n", s:read "all")
      assert.equal("", s:read "all")
      refused(name() .. ": the other side closed the connection", "closed", s:read "line")
      refused(name() .. ": the other side closed the connection", "closed", s:read(1))
    end)
  end)

  it("writes what a slow reader takes", function()
    local text = ("0123456789abcdef"):rep(500000)
    local count = with("count", function(s)
      assert(s:write(text))
      assert(s:write(text))
      assert(s:write "")
      assert(s:shutdown())
      return s:read "all"
    end)
    assert.equal(tostring(2 * #text), count)
  end)

  it("speaks over unix sockets", function()
    local dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
    local path = dir .. "/s"
    local other = process.start { "/usr/bin/python3", "spec/unit/socket_server.py", path }
    other:wait_until(function() return other.out_lines[1] end, "the server")
    run(function()
      local s <close> = assert(socket.connect { path = path })
      assert(s:write "echo\nhi\n")
      assert.equal("hi", s:read "line")
    end)
    refused(dir .. "/x: no such file or directory", "ENOENT", run(function()
      return socket.connect { path = dir .. "/x" }
    end))
    local long = "/" .. ("x"):rep(120)
    refused(long .. ": name too long", "ENAMETOOLONG", run(function()
      return socket.connect { path = long }
    end))
    other:kill()
    files.remove(dir)
  end)

  it("says why there is no connection", function()
    local free = uv.new_tcp()
    assert(free:bind("127.0.0.1", 0)) -- bound, and nobody listens
    local silent = free:getsockname().port
    refused(("127.0.0.1:%d: connection refused"):format(silent), "ECONNREFUSED", run(function()
      return socket.connect { host = "127.0.0.1", port = silent }
    end))
    free:close()
    uv.run "nowait"
    local value, why, code = run(function()
      return socket.connect { host = "no-such-host.invalid", port = 1 }
    end)
    assert.is_nil(value)
    assert.matches("^no%-such%-host%.invalid:1: ", why)
    assert.matches("^EAI_", code)
  end)

  it("takes names", function()
    run(function()
      local s <close> = assert(socket.connect { host = "localhost", port = port })
      assert(s:write "echo\nhi\n")
      assert.equal("hi", s:read "line")
    end)
  end)

  it("waits for so long, and can go on afterwards", function()
    with("silent", function(s)
      local message = name() .. ": nothing came for 0.02 s"
      refused(message, "timeout", s:read("line", { timeout = 0.02 }))
      refused(message, "timeout", s:read(5, { timeout = 0.02 }))
    end)
    with("deaf 30", function(s)
      assert.equal("ready", s:read "line")
      local message = name() .. ": not done after 0.05 s"
      refused(message, "timeout", s:write(MUCH, { timeout = 0.05 }))
      refused(name() .. ": the socket is closed", "closed", s:write "more")
    end)
    local full = uv.new_tcp() -- listens, and its queue is full: a connect is never answered
    assert(full:bind("127.0.0.1", 0))
    assert(full:listen(0, function() end))
    local its_port = full:getsockname().port
    run(function()
      local last, why, code
      for _ = 1, 8 do
        last, why, code = socket.connect { host = "127.0.0.1", port = its_port, timeout = 0.05 }
        if not last then
          break
        end
      end
      refused(("127.0.0.1:%d: not done after 0.05 s"):format(its_port), "timeout", last, why, code)
    end)
    full:close()
    uv.run "nowait"
  end)

  it("keeps to limits", function()
    with("send 1000", function(s)
      local message = name() .. ": more than 999 bytes"
      refused(message, "too_large", s:read("all", { limit = 999 }))
      refused(message, "too_large", s:read("line", { limit = 999 }))
      assert.equal(1000, #s:read("all", { limit = 1000 }))
    end)
    with("flood", function(s)
      refused(name() .. ": more than 1048576 bytes", "too_large", s:read "all")
    end)
    with("part", function(s)
      refused(name() .. ": the other side closed the connection", "closed", s:read "line")
    end)
  end)

  it("reads and writes at the same time", function()
    with("echo", function(s)
      local lines = {}
      jobq.parallel {
        function()
          for i = 1, 2000 do
            assert(s:write(("line %d %s\n"):format(i, ("x"):rep(1000))))
          end
        end,
        function()
          for i = 1, 2000 do
            lines[i] = assert(s:read "line")
          end
        end,
      }
      assert.equal("line 2000 ", lines[2000]:sub(1, 10))
      local ok, why = pcall(jobq.parallel, {
        function() s:read "line" end, function() s:read "line" end,
      })
      assert.is_false(ok)
      assert.matches("another function reads from it", why)
    end)
  end)

  it("tells who waits when another part of the run closes it", function()
    local closed = name() .. ": the socket is closed"
    with("silent", function(s)
      jobq.parallel {
        function() refused(closed, "closed", s:read "line") end,
        function() jobq.sleep(0.01) s:close() end,
      }
    end)
    with("deaf 30", function(s)
      assert.equal("ready", s:read "line")
      jobq.parallel {
        function() refused(closed, "closed", s:read "line") end,
        function() refused(closed, "closed", s:write(MUCH)) end,
        function() jobq.sleep(0.05) s:close() end,
      }
    end)
    with("deaf 30", function(s)
      assert.equal("ready", s:read "line")
      jobq.parallel {
        function() refused(closed, "closed", s:read "line") end,
        function() assert.is_nil(s:write(MUCH, { timeout = 0.05 })) end,
      }
    end)
  end)

  it("is closed when its run ends, however that is", function()
    local kept
    run(function()
      kept = assert(socket.connect { host = "127.0.0.1", port = port })
      assert(kept:write "silent\n")
    end)
    server:wait_until(function() return ended() == 1 end, "the end of the first")
    refused(name() .. ": the socket is closed", "closed", run(function() return kept:read(1) end))
    local function open(line)
      kept = assert(socket.connect { host = "127.0.0.1", port = port })
      assert(kept:write(line .. "\n"))
    end
    pcall(run, function() open "silent" error "oops" end)
    server:wait_until(function() return ended() == 2 end, "the end of the second")
    pcall(run, function() jobq.parallel { function() open "silent" end } end)
    server:wait_until(function() return ended() == 3 end, "the end of the third")
  end)

  it("is closed when its run is stopped while it waits", function()
    local function stopped(line, f)
      local ok, why = pcall(with, line, f, 0.05)
      assert.is_false(ok)
      assert.matches("socket_spec.lua:%d+: stopped after 0.05 s", why)
    end
    stopped("silent", function(s) return s:read "line" end)
    stopped("deaf 0.2", function(s)
      s:write(MUCH)
      return true
    end)
    server:wait_until(function() return ended() == 2 end, "the end of both")
    local ok = pcall(run, function()
      local s = socket.connect { host = "127.0.0.1", port = port }
      pcall(s.read, s, "line")
      assert(s:write "echo\nstill there\n") -- a read that was stopped does no harm
      assert.equal("still there", s:read "line")
    end, 0.05)
    assert.is_true(ok)
  end)

  it("raises on misuse", function()
    local function raises(message, f, ...)
      local args = table.pack(...)
      local ok, why = pcall(run, function() local x = f(table.unpack(args, 1, args.n)) return x end)
      assert.is_false(ok)
      assert.equal(message, why:match "^[^\n]*socket_spec%.lua:%d+: (.*)$")
    end
    local connect = socket.connect
    raises("jobq.socket.connect: expected host and port, or path", connect)
    raises("jobq.socket.connect: expected host and port, or path", connect, { host = "a" })
    raises("jobq.socket.connect: port: expected an integer from 1 to 65535, got 0", connect,
      { host = "a", port = 0 })
    raises("jobq.socket.connect: unknown option 'hots'\nhint: did you mean 'host'?", connect,
      { hots = "a" })
    raises("jobq.socket.connect: host: 'a?b' is not the name of a host", connect,
      { host = "a\nb", port = 1 })
    with("echo", function(s)
      local function fails(message, f, ...)
        local ok, why = pcall(f, ...)
        assert.is_false(ok)
        assert.equal(message, why:match "^[^\n]*socket_spec%.lua:%d+: (.*)$")
      end
      local expected = "socket:read: expected a number of bytes, 'line' or 'all', got "
      fails(expected .. "'lines'", s.read, s, "lines")
      fails(expected .. "0", s.read, s, 0)
      fails("socket:write: expected a string, got 7", s.write, s, 7)
      fails("socket:write: expected a socket, got 'x'\nhint: write a colon", s.write, "x")
      s:close()
      s:close()
      refused(name() .. ": the socket is closed", "closed", s:read(1))
    end)
  end)
end)
