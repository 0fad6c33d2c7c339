local engine = require "support.engine"
local manager = require "support.manager"

describe("a worker under a service manager", function()
  local db, dir, m

  before_each(function()
    db = engine.database()
    dir = engine.handlers { ["ok.lua"] = "return { ok = { run = function() end } }" }
    m = manager.start(dir.path .. "/notify")
  end)

  local function start(variables)
    local words = { "--executors=1", dir.path }
    words.env = { JOBQ_DSN = db.dsn, JOBQ_LOG_FORMAT = "logfmt", NOTIFY_SOCKET = m.path }
    for name, value in pairs(variables or {}) do
      words.env[name] = value
    end
    return engine.run(words)
  end

  it("is ready once it has claimed, and says that it stops", function()
    local w = start()
    m:hears "READY=1; STATUS=working"
    w:expect "worker ready"
    assert.equal(0, w:stop())
    m:hears "STOPPING=1; EXTEND_TIMEOUT_USEC=35000000; " -- the grace of 25 s, and 10 s to leave
  end)

  it("is not ready while the database is away", function()
    engine.postgres.stop()
    local w = start()
    w:expect "cannot reach the database, trying again"
    engine.postgres.start()
    m:hears "READY=1"
  end)

  it("tells of a reload, and why one failed", function()
    local w = start()
    m:hears "READY=1"
    w:signal "sighup"
    assert.match("MONOTONIC_USEC=%d+", m:hears "RELOADING=1")
    m:hears "READY=1; STATUS=working"
    dir:write("ok.lua", "return {")
    assert.equal(0, engine.jobq(db, "reload").status)
    m:hears "RELOADING=1"
    assert.match("STATUS=.*ok%.lua:1:", m:hears "READY=1")
  end)

  it("tells of two reloads that overlap as of one", function()
    local w = start()
    m:hears "READY=1"
    dir:write("ok.lua", ([[
      while not io.open(%q) do end -- loads once the file is there
      return { ok = { run = function() end } }
    ]]):format(dir.path .. "/go"))
    w:signal "sighup"
    m:hears "RELOADING=1"
    w:signal "sighup"
    w:signal "sigusr1"
    w:expect "state" -- by now the second HUP is known, too
    dir:write("go", "")
    m:hears "READY=1"
    w:signal "sigusr1"
    assert.equal("3", w:expect("state").generation)
    assert.equal(0, w:stop())
    m:hears "STOPPING=1"
  end)

  it("gives signs of life, also while the database is away", function()
    local w = start { WATCHDOG_USEC = "20000" }
    m:hears "READY=1"
    w:expect "worker ready"
    engine.postgres.stop()
    finally(engine.postgres.start)
    w:expect "database lost"
    local before = #m.err_lines
    m:wait_until(function() return #m.err_lines > before + 5 end, "five signs of life")
  end)

  it("keeps the manager's address from what it starts", function()
    local w = start { WATCHDOG_USEC = "1000000" }
    m:hears "READY=1"
    local file = assert(io.open(("/proc/%d/environ"):format(w:executors()[1])))
    local environment = file:read "a"
    file:close()
    assert.is_nil(environment:match "NOTIFY_SOCKET" or environment:match "WATCHDOG")
  end)
end)
