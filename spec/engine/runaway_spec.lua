local engine = require "support.engine"
local samples = require "support.samples"

--- What ends a run that will not end by itself: each disguise, what its error says, and its timeout
--- in seconds (1 unless something else must end it).
local DISGUISES = {
  pcall = { "while true do pcall(function() while true do end end) end", "stopped after" },
  coroutine = {
    "local f = coroutine.wrap(function() while true do end end) while true do f() end",
    "stopped after",
  },
  sort = {
    "while true do pcall(table.sort, { 3, 2, 1 }, function() while true do end end) end",
    "stopped after",
  },
  gsub = { "local _ = (('x'):gsub('x', function() while true do end end))", "stopped after" },
  metamethod = {
    "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
    "stopped after",
  },
  close = {
    "local x <close> = setmetatable({}, { __close = function() while true do end end })",
    "stopped after",
  },
  waiting = { "jobq.sleep(3600)", "stopped after" },
  stubborn = { "while true do pcall(jobq.sleep, 3600) end", "after its timeout of 1 s" },
  move = { "table.move({}, 1, 1 << 60, 2)", "after its timeout of 1 s" },
  find = { "string.find(('a'):rep(60), ('a*'):rep(60) .. 'b')", "after its timeout of 1 s" },
  rep = { "return ('x'):rep(1 << 62)", "too large", 60 },
  hog = {
    "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
    "memory limit",
    60,
  },
  recursion = { "local function f() return 1 + f() end return f()", "memory limit", 60 },
}

local function handler()
  local kinds = { 'local jobq = require "jobq"', "return {" }
  for name, disguise in pairs(DISGUISES) do
    table.insert(kinds, ("%s = { timeout = %d, max_attempts = 1, run = function() %s end },")
      :format(name, disguise[3] or 1, disguise[1]))
  end
  table.insert(kinds, "}")
  return table.concat(kinds, "\n")
end

describe("a run that does not end", function()
  local db, notes, w

  before_each(function()
    db = engine.database()
    notes = samples.notes()
    local files = { ["run.lua"] = handler(), ["note.lua"] = samples.note }
    w = engine.worker(db, files, { executors = 1 })
  end)

  for name, disguise in pairs(DISGUISES) do
    it("fails alone and says why: " .. name, function()
      local neighbour = db:enqueue { "note.held", args = notes:args() }
      notes:wait_for(1, w)
      local id = db:enqueue { "run." .. name }
      db:wait_for(id, "failed")
      assert.truthy(db:job(id).error:find(disguise[2], 1, true), db:job(id).error)
      notes:go()
      db:wait_for(neighbour, "completed")
      assert.equal(1, db:job(neighbour).attempt)
    end)
  end

  it("ends when it is cancelled", function()
    local id = db:enqueue { "note.slow", args = notes:args() }
    notes:wait_for(1, w)
    db:query("select jobq.cancel($1)", id)
    db:wait_for(id, "cancelled")
  end)

  it("ends at the timeout that its enqueue asked for", function()
    local id = db:value([[select jobq.enqueue('note.slow', $1::jsonb, timeout => '300 ms',
      max_attempts => 1)]], notes:args())
    db:wait_for(id, "failed")
    assert.truthy(db:job(id).error:find("timeout is 0.3 s", 1, true), db:job(id).error)
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
