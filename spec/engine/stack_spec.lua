--- jobq job ID stack: where a running job is.
local uv = require "luv"
local engine = require "support.engine"
local files = require "support.files"

local HANDLERS = {
  ["long.lua"] = [[
local jobq = require "jobq"

local function nap() jobq.sleep(60)
end

return {
  sleep = { run = function() nap() return true end },
  sql = { run = function() jobq.sql.query "select pg_sleep(60)" end },
  loop = { timeout = 120, run = function() while true do end end },
  parallel = {
    run = function()
      jobq.parallel { nap, function() jobq.sql.query "select pg_sleep(60)" end }
    end,
  },
  c = {
    timeout = 20,
    run = function()
      jobq.sleep(0)
      return ("a"):rep(60):find(("a*"):rep(60) .. "b")
    end,
  },
}
]],
}

describe("jobq job ID stack", function()
  local db, dir

  before_each(function()
    db = engine.database()
    dir = engine.handlers {} -- where the sockets are
  end)

  local function worker(more)
    local options = { executors = 1, shutdown_grace = "0s" }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    options.env = { XDG_RUNTIME_DIR = dir.path }
    return engine.worker(db, HANDLERS, options)
  end

  local function sockets()
    return files.glob(dir.path .. "jobq/*.sock")
  end

  local function stack(id, option)
    return engine.jobq(db, { "job", tostring(id), "stack", option })
  end

  --- Looks until the job, which is about to begin, is where it stays.
  local function look_until(process, id, is_there)
    return process:wait_until(function()
      local answer = stack(id, "--json")
      return answer.status == 0 and is_there(answer.json) and answer.json
    end, "it is where it stays")
  end

  local function at(part, ...)
    local lines = {}
    for i, frame in ipairs(part.stack) do
      lines[i] = frame:match "long.lua:.*"
    end
    assert.same({ ... }, lines)
  end

  it("shows what a waiting job waits for", function()
    local w = worker()
    local id = db:enqueue { "long.sleep" }
    local sight = look_until(w, id, function(s) return s.state == "waiting" end)
    assert.equal("jobq.sleep", sight["in"])
    at(sight, "long.lua:3: in nap", "long.lua:7: in run")
    assert.same({ tostring(id), "long.sleep", 60 }, { sight.id, sight.kind, sight.timeout })
    local lines = stack(id).out
    assert.match(("^job %d  long.sleep  attempt 1 of 3  on "):format(id), lines)
    assert.match("\nwaiting for %S.* in jobq.sleep, times out in %d+s\n", lines)
    assert.match("\n  %S*long.lua:3  in nap\n  %S*long.lua:7  in run$", lines)
    assert.equal(0, w:stop())
  end)

  it("shows a query, a loop, and parts", function()
    local w = worker { executors = 3 }
    local sight = look_until(w, db:enqueue { "long.sql" }, function(s)
      return s.state == "waiting" and s.stack[1]
    end)
    assert.equal("jobq.sql.query", sight["in"])
    at(sight, "long.lua:8: in run")
    sight = look_until(w, db:enqueue { "long.parallel" }, function(s)
      return #s.parts == 2
    end)
    assert.equal("jobq.parallel", sight["in"])
    local waits = { sight.parts[1]["in"], sight.parts[2]["in"] }
    table.sort(waits)
    assert.same({ "jobq.sleep", "jobq.sql.query" }, waits)
    sight = look_until(w, db:enqueue { "long.loop" }, function(s)
      return s.state == "computing"
    end)
    at(sight, "long.lua:9: in run")
    assert.equal(0, w:stop())
  end)

  it("says what is in C code, and who waits behind it", function()
    local w = worker()
    local behind = db:enqueue { "long.sleep" }
    look_until(w, behind, function(s) return s.state == "waiting" end)
    local id = db:enqueue { "long.c" }
    local sight = look_until(w, id, function(s) return s.state == "silent" end)
    assert.match("^in C code: no answer within 2 s, last seen at %S+long.lua:18$", sight.message)
    local answer = stack(behind)
    local blamed = "no answer within 2 s: job %d %%(long.c%%), in the same process, is in C code"
    assert.match(blamed:format(id), answer.out)
    w:kill()
  end)

  it("says why there is none", function()
    local w = worker()
    local id = db:enqueue { "long.sleep", delay = "1 hour" }
    local answer = stack(id)
    assert.same({ 5, ("jobq: job %d is pending, expected processing: only a running job has a "
      .. "stack\nhint: jobq why %d tells what keeps it"):format(id, id) },
      { answer.status, answer.err })
    assert.equal(3, stack(999).status)
    assert.equal(2, engine.jobq(db, "job 1 stak").status)
    id = db:enqueue { "long.sleep" }
    look_until(w, id, function(s) return s.state == "waiting" end)
    db:query("update jobq.worker set host = 'elsewhere', socket = '/nowhere'")
    answer = stack(id)
    assert.equal(5, answer.status)
    assert.match("on host elsewhere: only there", answer.err)
    db:query("update jobq.worker set socket = null")
    assert.match("has no private socket", stack(id).err)
    assert.equal(0, w:stop())
  end)

  it("knows that its worker is gone, and the next worker sweeps", function()
    local w = worker()
    local id = db:enqueue { "long.sleep" }
    look_until(w, id, function(s) return s.state == "waiting" end)
    w:kill()
    assert.equal(1, #sockets())
    local answer = stack(id)
    assert.equal(1, answer.status)
    assert.match("is gone: nobody listens at", answer.err)
    local old = sockets()[1]
    w = worker()
    assert.equal(1, #sockets())
    assert.not_equal(old, sockets()[1])
    assert.equal(0, w:stop())
    assert.is_false(files.exists(dir.path .. "jobq"))
  end)

  it("lets nobody else in", function()
    local w = worker()
    local modes = {}
    for i, path in ipairs { dir.path .. "jobq", sockets()[1] } do
      modes[i] = uv.fs_stat(path).mode & 511
    end
    assert.same({ 448, 384 }, modes) -- 0700, 0600
    assert.equal(0, w:stop())
    assert(uv.fs_mkdir(dir.path .. "jobq", 511))
    assert(uv.fs_chmod(dir.path .. "jobq", 511))
    w = engine.start(db, HANDLERS, { executors = 1, env = { XDG_RUNTIME_DIR = dir.path } })
    local warning = w:expect "no private socket: nobody can look at running jobs"
    assert.match("expected 0700", warning.error)
    w:expect "worker ready"
    assert.equal(0, w:stop())
  end)

  it("is answered although others are slow, silent and long-winded", function()
    local w = worker()
    local id = db:enqueue { "long.sleep" }
    local path = sockets()[1]
    local pipes, ended = {}, 0
    local function connect(text)
      local pipe = uv.new_pipe(false)
      table.insert(pipes, pipe)
      pipe:connect(path, function(err)
        if err then -- the line before the door is full
          ended = ended + 1
          return
        end
        pipe:read_start(function(_, data)
          ended = ended + (data and 0 or 1)
        end)
        if text then
          pipe:write(text)
        end
      end)
    end
    for _ = 1, 10 do
      connect(nil)
    end
    connect(("x"):rep(1000))
    connect "stack 1 2\n"
    w:wait_until(function() return ended == 2 end, "two are cut off")
    look_until(w, id, function(s) return s.state == "waiting" end)
    for _ = 1, 20 do
      connect(nil)
    end
    w:wait_until(function() return ended >= 16 end, "those beyond the limit are cut off")
    w:wait_until(function() return ended == 32 end, "the silent ones are cut off, too")
    look_until(w, id, function(s) return s.state == "waiting" end)
    for _, pipe in ipairs(pipes) do
      pipe:close()
    end
    assert.equal(0, w:stop())
  end)
end)
