--- Programs of handlers end with the run that has started them, also with its executor.
local engine = require "support.engine"
local files = require "support.files"
local process = require "support.process"
local uv = require "luv"

local HANDLERS = [[
local jobq = require "jobq"

--- A program, and a daemon of its; both carry the job's word.
local function hold(job)
  local script = "setsid sleep 100 & echo up >" .. job.args.dir .. "/up; sleep 100"
  return jobq.process.run({ "sh", "-c", script }, { env = { JOBQSPEC_MARK = job.args.dir } })
end

return {
  hold = { run = hold },
  each = {
    run = function(job)
      local code
      local values = jobq.parallel {
        function() return jobq.process.run({ "echo", "out" }).stdout end,
        function() return jobq.crypto.hash("sha256", "abc", "hex"):sub(1, 4) end,
        function() code = select(3, jobq.socket.connect { path = job.args.dir .. "/nobody" }) end,
      }
      return jobq.done { values[1], values[2], values.n, code }
    end,
  },
}
]]

describe("a program", function()
  local db, dir

  before_each(function()
    db = engine.database()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
  end)

  after_each(function()
    files.remove(dir)
  end)

  local function args()
    return ('{"dir": "%s"}'):format(dir)
  end

  local function count()
    local found = 0
    for _, name in ipairs(files.list "/proc") do
      local environ = name:find "^%d+$" and files.read("/proc/" .. name .. "/environ")
      found = found + (environ and environ:find("JOBQSPEC_MARK=" .. dir, 1, true) and 1 or 0)
    end
    return found
  end

  local function start(options)
    options.executors = 1
    local w = engine.worker(db, { ["program.lua"] = HANDLERS }, options)
    local id = db:enqueue { "program.hold", args = args(), max_attempts = 1 }
    w:wait_until(function()
      return files.exists(dir .. "/up") and count() >= 4 -- the guard, the shell, two sleeps
    end, "the program")
    return w, id
  end

  local function expect_end()
    process.wait_until(function() return count() == 0 end, "the end of the program")
  end

  it("works in a worker, and so do the other new modules", function()
    local w = engine.worker(db, { ["program.lua"] = HANDLERS }, { executors = 1 })
    local id = db:enqueue { "program.each", args = args() }
    w:wait_until(function() return db:job(id).status == "completed" end, "the end of the job")
    assert.equal('["out\\n","ba78",3,"ENOENT"]',
      db:value("select result::text from jobq.job where id = $1", id))
  end)

  it("ends when its job is cancelled", function()
    local w, id = start {}
    db:value("select jobq.cancel($1)", id)
    expect_end()
    w:wait_until(function() return db:job(id).status == "cancelled" end, "the cancel")
  end)

  it("ends with its worker", function()
    local w = start { shutdown_grace = "100ms" }
    assert.equal(0, w:stop())
    assert.equal(0, count())
  end)

  it("ends when its executor is killed", function()
    local w = start {}
    for _, pid in ipairs(w:executors()) do
      uv.kill(pid, "sigkill")
    end
    expect_end()
  end)

  it("ends when all of its worker is killed", function()
    local w = start {}
    w:kill()
    expect_end()
  end)
end)
