local build = require "support.build"
local engine = require "support.engine"
local files = require "support.files"
local process = require "support.process"
local samples = require "support.samples"

-- Runs that would never end have this timeout, in seconds; the others fail long before theirs.
local TIMEOUT = 0.3
local STOPPED, KILLED = "stopped after 0.", "killed: it ran on after its timeout of 0.3 s"

-- Deadline plus a second is the promise; the rest is for machines that are busy with other things.
local MOST_SECONDS = TIMEOUT + 1 + 1.5

local SPIN = "while true do end"

--- Runs that do not end by themselves: what they do, and what their error says.
local ENDLESS = {
  pcall = { "while true do pcall(function() SPIN end) end", STOPPED },
  xpcall = { "while true do xpcall(error, function() SPIN end) end", KILLED },
  coroutine = { "local f = coroutine.wrap(function() SPIN end) while true do f() end", STOPPED },
  nested = {
    [[local function dive(depth)
      while true do
        pcall(coroutine.wrap(function() if depth == 20 then SPIN else dive(depth + 1) end end))
      end
    end
    dive(1)]],
    STOPPED,
  },
  sort = { "while true do pcall(table.sort, { 3, 2, 1 }, function() SPIN end) end", STOPPED },
  gsub = { "local _ = (('x'):gsub('x', function() SPIN end))", STOPPED },
  load = { "load(function() return 'x = 1 ' end)", STOPPED },
  metamethod = { "return setmetatable({}, { __index = function() SPIN end }).x", STOPPED },
  text = { "error(setmetatable({}, { __tostring = function() SPIN end }))", STOPPED },
  close = { "local x <close> = setmetatable({}, { __close = function() SPIN end })", STOPPED },
  close_coroutine = {
    [[local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() SPIN end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)]],
    STOPPED,
  },
  log = { "while true do job.log:debug 'x' end", STOPPED },
  waiting = { "jobq.sleep(3600)", STOPPED },
  naps = { "while true do jobq.sleep(0) end", STOPPED },
  stubborn = { "while true do pcall(jobq.sleep, 3600) end", KILLED },
  move = { "table.move({}, 1, 1 << 60, 2)", KILLED },
  insert = {
    "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)",
    KILLED,
  },
  find = { "string.find(('a'):rep(60), ('a*'):rep(60) .. 'b')", KILLED },
  fifo = { "io.open(job.args.fifo)", KILLED },
  -- setmetatable refuses __gc; only jobq's own metatables get one past it.
  gc = {
    [[local core = require "jobq.core"
    core.job_metatable.__gc = function() SPIN end
    core.begin()
    collectgarbage()]],
    KILLED,
  },
}

--- Runs that go too far, and fail at once.
local EXCESSIVE = {
  rep = { "return ('x'):rep(1 << 62)", "too large" },
  unpack = { "return table.unpack({}, 1, 1e8)", "too many results" },
  hog = { "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end", "memory limit" },
  concat = {
    "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(50000) end return #table.concat(t)",
    "memory limit",
  },
  read = { "return io.open('/dev/zero'):read 'a'", "memory limit" },
  recursion = { "local function f() return 1 + f() end return f()", "memory limit" },
  concat_recursion = {
    "local t = setmetatable({}, { __concat = function(a, b) return a .. b end }) return t .. 'x'",
    "C stack overflow",
  },
  pcall_recursion = {
    "local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()",
    "C stack overflow",
  },
  coroutine_recursion = {
    "local function f() return coroutine.wrap(f)() end return f()",
    "C stack overflow",
  },
  close_recursion = {
    [[local function f()
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, { __close = f })
        coroutine.yield()
      end)
      coroutine.resume(co)
      assert(coroutine.close(co))
    end
    f()]],
    "C stack overflow",
  },
  gsub_recursion = {
    "local function f(s) return (s:gsub('.', f)) end return f 'x'",
    "C stack overflow",
  },
  load_recursion = { "assert(load('return ' .. ('('):rep(1000)))", "C stack overflow" },
  pattern = { "return ('x'):rep(300000):find(('x?'):rep(300000))", "too complex" },
  json = { "return jobq.json.decode(('['):rep(100000))", "at most 200 levels" },
  json_cycle = { "local t = {} t[1] = t return jobq.json.encode(t)", "200 levels" },
  gc = { "setmetatable({}, { __gc = print })", "has __gc, which handlers may not use" },
  gc_of_files = { "getmetatable(io.stdout).__gc = print", "attempt to index a boolean" },
  files = {
    "local t = {} while true do t[#t + 1] = assert(io.open '/dev/null') end",
    "/dev/null: this run has 256 files open, and may not have more",
  },
  lines = { "local t = {} while true do t[#t + 1] = io.lines '/dev/null' end", "256 files open" },
  temporary = {
    "local t = {} while true do t[#t + 1] = assert(io.tmpfile()) end",
    "256 files open",
  },
}

--- Runs that leave a note first.
local HELD = {
  waiting = { "note(job) jobq.sleep(60)" },
  computing = { "note(job) SPIN" },
  in_c = { "note(job) " .. ENDLESS.move[1] },
}

local NOTE = [[
local function note(job)
  local file <close> = assert(io.open(job.args.file, "a"))
  file:write(job.id, "\n")
end
]]

-- Writes over the program's own code: whatever runs next there is a trap.
local CRASH = [[
for line in io.lines "/proc/self/maps" do
  local from, to = line:match "^(%x+)%-(%x+) r%-xp .*/jobq%-run$"
  if from then
    from, to = tonumber(from, 16), tonumber(to, 16)
    local memory = assert(io.open("/proc/self/mem", "r+b"))
    memory:seek("set", from)
    memory:write(("\xcc"):rep(to - from))
    memory:close()
  end
end]]

local POLITE = NOTE .. [[
local jobq = require "jobq"

local function may_go(job)
  local file <close> = io.open(job.args.file .. ".go")
  return file ~= nil
end

local function compute(seconds)
  local start = os.clock()
  while os.clock() - start < seconds do end
end

return {
  nap = { run = function(job)
    note(job)
    while not may_go(job) do jobq.sleep(0) end
  end },
  work = { run = function(job)
    note(job)
    while not may_go(job) do
      compute(0.003)
      jobq.sleep(0.001)
    end
  end },
  wait = { timeout = 1, run = function(job)
    note(job)
    jobq.sleep(3600)
  end },
  compute = { run = function(job)
    note(job)
    compute(3)
  end },
}
]]

local function handler(runs, options)
  local kinds = { NOTE, 'local jobq = require "jobq"', "return {" }
  for name, run in pairs(runs) do
    table.insert(kinds, ("%s = { max_attempts = 1, %s, run = function(job) %s end },")
      :format(name, options, (run[1]:gsub("SPIN", SPIN))))
  end
  table.insert(kinds, "}")
  return table.concat(kinds, "\n")
end

local function seconds_of(db, id)
  local sql = "select extract(epoch from finished_at - started_at)::float8 from jobq.find($1)"
  return db:value(sql, id)
end

describe("a run", function()
  local db, notes, w, neighbour

  before_each(function()
    db = engine.database()
    notes = samples.notes()
    w = engine.worker(db, {
      ["endless.lua"] = handler(ENDLESS, "timeout = " .. TIMEOUT),
      ["excessive.lua"] = handler(EXCESSIVE, "timeout = 60"),
      ["crash.lua"] = handler({ itself = { CRASH } }, "timeout = 60"),
      ["note.lua"] = samples.note,
      ["held.lua"] = handler(HELD, "timeout = 60"),
      ["polite.lua"] = POLITE,
    }, { executors = 1, shutdown_grace = "100ms" })
    neighbour = db:enqueue { "note.held", args = notes:args(), max_attempts = 1 }
    notes:wait_for(1, w)
  end)

  local function fails(kind, args, message)
    local id = db:enqueue { kind, args = args }
    local job = db:wait_for(id, "failed")
    assert.truthy(job.error:find(message, 1, true), job.error)
    return id
  end

  --- It started as often, and has used one attempt.
  local function neighbour_completes(starts)
    notes:wait_for(starts, w)
    notes:go()
    assert.equal(1, db:wait_for(neighbour, "completed").attempt)
    assert.equal(starts, #notes:read())
  end

  for name, run in pairs(ENDLESS) do
    it("that does not end is ended, and says why: " .. name, function()
      local fifo = notes.path .. ".fifo"
      files.run { "mkfifo", fifo }
      local id = fails("endless." .. name, ('{"fifo": "%s"}'):format(fifo), run[2])
      local seconds = seconds_of(db, id)
      assert.is_true(seconds >= TIMEOUT and seconds <= MOST_SECONDS, seconds .. " s")
      neighbour_completes(run[2] == KILLED and 2 or 1)
    end)
  end

  for name, run in pairs(EXCESSIVE) do
    it("that goes too far fails alone, and says why: " .. name, function()
      fails("excessive." .. name, nil, run[2])
      neighbour_completes(1)
    end)
  end

  it("that crashes its executor is to blame, and its neighbours are not", function()
    fails("crash.itself", nil, "its executor died while it ran: signal ")
    w:expect "executor died"
    neighbour_completes(2)
  end)

  it("that naps all the time lets others in", function()
    local polite = db:enqueue { "polite.nap", args = notes:args() }
    for _ = 1, 3 do
      db:enqueue { "polite.work", args = notes:args() }
    end
    notes:wait_for(5, w)
    local other = db:enqueue { "note.write", args = notes:args() }
    db:wait_for(other, "completed")
    assert.equal("processing", db:job(polite).status)
    neighbour_completes(6)
    db:wait_for(polite, "completed")
  end)

  it("that computes while the time of another is over runs apart, and is not to blame", function()
    local late = db:enqueue { "polite.wait", args = notes:args(), max_attempts = 1 }
    notes:wait_for(2, w)
    local busy = db:enqueue { "polite.compute", args = notes:args(), max_attempts = 1 }
    notes:wait_for(3, w)
    local why = db:wait_for(late, "failed").error
    assert.equal("killed: it ran on after its timeout of 1 s", why)
    w:wait_until(function()
      return #w:executors() == 2
    end, "an executor apart")
    assert.equal(1, db:wait_for(busy, "completed").attempt)
    neighbour_completes(5)
  end)

  for name in pairs(HELD) do
    local starts = name == "in_c" and 2 or 1 -- of the neighbour

    it("ends when it is cancelled: " .. name, function()
      local id = db:enqueue { "held." .. name, args = notes:args() }
      notes:wait_for(2, w)
      db:query("select jobq.cancel($1)", id)
      db:wait_for(id, "cancelled")
      neighbour_completes(starts + 1)
    end)

    it("goes back when the worker stops: " .. name, function()
      local id = db:enqueue { "held." .. name, args = notes:args(), max_attempts = 1 }
      notes:wait_for(2, w)
      assert.equal(0, w:stop())
      for _, held in ipairs { id, neighbour } do
        local job = db:job(held)
        assert.same({ "pending", 0 }, { job.status, job.attempt })
      end
    end)
  end

  it("ends at the timeout that its enqueue asked for", function()
    local id = db:value([[select jobq.enqueue('note.slow', $1::jsonb, timeout => '300 ms',
      max_attempts => 1)]], notes:args())
    db:wait_for(id, "failed")
    assert.truthy(db:job(id).error:find("timeout is 0.3 s", 1, true), db:job(id).error)
  end)
end)

describe("an executor", function()
  local RUNS = {
    -- Fails at its limit, with as much as it may hold.
    hog = { "local t, x = {}, ('x'):rep(100000) while true do t[#t + 1] = x .. #t end" },
    -- The same in many small pieces, which the C library is slow to give back.
    crumbs = { "local t = {} while true do t[#t + 1] = { #t } end" },
    -- Completes, and leaves as much as it held.
    large = { "local t, x = {}, ('x'):rep(100000) for i = 1, 180 do t[i] = x .. i end" },
    leak = { "local t = {} for i = 1, 200 do t[i] = assert(io.open '/dev/null') end" },
    drop = { "for _ = 1, 2000 do assert(io.open '/dev/null') end" },
    keep = { "while true do table.insert(kept, assert(io.open '/dev/null')) end" },
    note = { "note(job)" },
  }
  local db, w

  before_each(function()
    db = engine.database()
    local text = "local kept = {}\n" .. handler(RUNS, "timeout = 60")
    w = engine.worker(db, { ["run.lua"] = text },
      { executors = 1, concurrency = 1, job_memory = "20M" })
  end)

  local function run_all(kinds, count)
    for _ = 1, count do
      for _, kind in ipairs(kinds) do
        db:enqueue { "run." .. kind }
      end
    end
    db:wait_until("all have run",
      "select count(*) filter (where status in ('pending', 'processing')) = 0 from jobq.job")
  end

  local measure = build.is_sanitized() and function() end or it

  measure("gives back the memory of runs that took too much", function()
    local pid = w:executors()[1]
    local before = process.memory(pid)
    for _, kind in ipairs { "hog", "large", "hog", "large" } do
      run_all({ kind }, 12)
    end
    run_all({ "crumbs" }, 2)
    assert.equal(26, db:value "select count(*) from jobq.job where error ~ 'memory limit'")
    assert.same({ pid }, w:executors())
    -- Each of the 50 held 17 MiB or more, several times what an idle executor has.
    local times = process.memory(pid) / before
    assert.is_true(times < 2, ("%.1f times as much as before"):format(times))
  end)

  it("gives back the descriptors of runs that did not close their files", function()
    local pid = w:executors()[1]
    local before = process.descriptors(pid)
    run_all({ "leak", "drop" }, 10)
    assert.equal(20, db:value "select count(*) from jobq.job where status = 'completed'")
    assert.same({ pid }, w:executors())
    local more = process.descriptors(pid) - before
    assert.is_true(more <= 64, more .. " more are open than before") -- LEFT_FILES_MAX
  end)

  it("that has no descriptor left is replaced", function()
    files.run { "prlimit", "--nofile=64:64", "--pid", tostring(w:executors()[1]) }
    local notes = samples.notes()
    local id = db:enqueue { "run.keep" }
    assert.truthy(db:wait_for(id, "failed").error:find("/dev/null: Too many open files", 1, true))
    w:expect("executor is replaced", { why = "too many open files" })
    local after = db:enqueue { "run.note", args = notes:args() }
    assert.equal(1, db:wait_for(after, "completed").attempt)
  end)
end)

describe("ten thousand sleeping jobs", function()
  it("are normal for one worker", function()
    local db = engine.database()
    local w = engine.worker(db, { ["nap.lua"] = [[
local jobq = require "jobq"
return { nap = { timeout = 600, run = function() jobq.sleep(300) end } }
]] }, { concurrency = 10000, executors = 1, shutdown_grace = "0s" })
    db:query [[select count(*) from jobq.enqueue_many('nap.nap',
      (select array_agg('{}'::jsonb) from generate_series(1, 10000)))]]
    db:wait_until("all are claimed", "select count(*) = 0 from jobq.ready")
    db:query "select jobq.enqueue('nap.nap')"
    assert.equal(0, w:stop())
    assert.equal(10001, db:value "select count(*) from jobq.ready where attempt = 0")
  end)
end)
