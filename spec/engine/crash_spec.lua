local uv = require "luv"
local build = require "support.build"
local engine = require "support.engine"
local files = require "support.files"
local samples = require "support.samples"

-- Writes over the program's own code: whatever runs next there is a trap.
local CRASH = [[
return {
  always = {
    max_attempts = 3,
    retry_delay = 0.1,
    run = function()
      for line in io.lines "/proc/self/maps" do
        local from, to = line:match "^(%x+)%-(%x+) r%-xp .*/jobq%-run$"
        if from then
          from, to = tonumber(from, 16), tonumber(to, 16)
          local memory = assert(io.open("/proc/self/mem", "r+b"))
          memory:seek("set", from)
          memory:write(("\xcc"):rep(to - from))
          memory:close()
        end
      end
    end,
  },
}
]]

describe("an executor that dies", function()
  local db, notes

  before_each(function()
    db = engine.database()
    notes = samples.notes()
  end)

  local function start(options)
    return engine.worker(db, { ["note.lua"] = samples.note, ["crash.lua"] = CRASH }, options)
  end

  it("is replaced, and what ran in it runs again without having used an attempt", function()
    local w = start { executors = 1, heartbeat_interval = "200ms" }
    local ids = {}
    for i = 1, 5 do
      ids[i] = db:enqueue { "note.held", args = notes:args(), max_attempts = 1 }
    end
    notes:wait_for(5, w)
    uv.kill(w:executors()[1], "sigkill")
    w:expect "executor died"
    notes:go()
    for _, id in ipairs(ids) do
      assert.equal(1, db:wait_for(id, "completed").attempt)
    end
    assert.equal(10, #notes:read())
    assert.equal(0, w:stop())
  end)

  -- Somebody ran out of memory, and the kernel chose us.
  it("is tried again when it is killed while it loads, at the start too", function()
    local w = engine.start(db, { ["slow.lua"] = ([[
local mark = io.open(%q)
if not mark then
  io.open(%q, "w"):close()
  while true do end
end
mark:close()
return { ok = { run = function() end } }
]]):format(notes.path, notes.path) }, { executors = 1 })
    w:wait_until(function() return files.read(notes.path) end, "the first try to load")
    uv.kill(w:executors()[1], "sigkill")
    w:expect "worker ready"
    db:wait_for(db:enqueue { "slow.ok" }, "completed")
    assert.equal(0, w:stop())
  end)

  it("is not tried for ever when it dies while it loads", function()
    local w = engine.start(db, { ["slow.lua"] = "while true do end" }, { executors = 1 })
    local killed
    for try = 1, 3 do
      killed = w:wait_until(function()
        local pid = w:executors()[1]
        return pid ~= killed and pid
      end, ("try %d to load"):format(try))
      uv.kill(killed, "sigkill")
    end
    assert.equal(3, w:wait())
    assert.match("an executor died: signal 9", w:errors())
  end)

  it("is not shared by jobs under suspicion", function()
    local w = start { executors = 1 }
    for _ = 1, 3 do
      db:enqueue { "note.held", args = notes:args() }
    end
    notes:wait_for(3, w)
    uv.kill(w:executors()[1], "sigkill")
    notes:wait_for(4, w)
    notes:go()
    db:wait_until("all are done", "select count(*) = 3 from jobq.job where status = 'completed'")
    assert.equal(6, #notes:read())
    assert.equal(0, w:stop())
  end)

  it("takes an attempt of a job that ran alone in it", function()
    local w = start { executors = 1 }
    local id = db:enqueue { "crash.always" }
    local job = db:wait_for(id, "failed")
    assert.equal(3, job.attempt)
    assert.match("^its executor died", job.error)
    local after = db:enqueue { "note.write", args = notes:args() }
    assert.equal(1, db:wait_for(after, "completed").attempt)
    assert.equal(0, w:stop())
  end)

  it("does not take the jobs of other executors along", function()
    local w = start { executors = 2, concurrency = 8 }
    for _ = 1, 8 do
      db:enqueue { "note.held", args = notes:args() }
    end
    notes:wait_for(8, w)
    local pids = w:executors()
    assert.equal(2, #pids)
    uv.kill(pids[2], "sigkill")
    w:expect "executor died"
    notes:go()
    db:wait_until("all are done", "select count(*) = 8 from jobq.job where status = 'completed'")
    assert.equal(8, db:value "select sum(attempt)::int from jobq.job")
    assert.is_true(#notes:read() < 16)
    assert.equal(0, w:stop())
  end)

  it("is replaced by one of the same build, whatever has been put in its place", function()
    local dir = engine.handlers { ["note.lua"] = samples.note }
    local program = dir.path .. "worker"
    assert(uv.fs_copyfile(build.program "jobq-run", program))
    local w = engine.worker(db, dir.path .. "note.lua", { executors = 1, program = program })
    dir:write("next", "#!/bin/sh\nexit 1\n")
    assert(uv.fs_chmod(dir.path .. "next", 493))
    assert(uv.fs_rename(dir.path .. "next", program))
    uv.kill(w:executors()[1], "sigkill")
    w:expect "executor died"
    db:wait_for(db:enqueue { "note.write", args = notes:args() }, "completed")
  end)

  it("goes with its supervisor", function()
    local w = start { executors = 2 }
    local pids = w:executors()
    w:kill()
    engine.process.wait_until(function()
      return not uv.kill(pids[1], 0) and not uv.kill(pids[2], 0)
    end, "the end of its executors")
  end)
end)
