--- jobq.parallel: order, limits, failures and stops. The executor's side is in parallel_test.c.
local core = require "jobq.core"
local jobq = require "jobq"

local parallel, sleep = jobq.parallel, jobq.sleep

local function run(f, seconds)
  return core.task.run(f, seconds)
end

local function raised_by(f, seconds)
  local ok, why = pcall(run, f, seconds)
  assert.is_false(ok)
  return why
end

--- A function that notes when it starts and how it ends.
local function noted(notes, name, f)
  return function()
    table.insert(notes, "start " .. name)
    local guard <close> = setmetatable({}, { __close = function()
      table.insert(notes, "end " .. name)
    end })
    return f(guard)
  end
end

describe("jobq.parallel", function()
  it("brings values in the order of the functions", function()
    local values = run(function()
      return parallel {
        function() sleep(0.03) return "slow" end,
        function() return "at once", "dropped" end,
        function() sleep(0.01) end,
        function() sleep(0) return false end,
      }
    end)
    assert.same({ "slow", "at once", nil, false, n = 4 }, values)
  end)

  it("does nothing for no functions", function()
    assert.same({ n = 0 }, run(function() return (parallel({}, { limit = 3 })) end))
  end)

  it("lets all wait at the same time", function()
    local notes = {}
    run(function()
      parallel {
        noted(notes, "a", function() sleep(0.02) end),
        noted(notes, "b", function() sleep(0.01) end),
      }
    end)
    assert.same({ "start a", "start b", "end b", "end a" }, notes)
  end)

  it("keeps to its limit, and starts the next one when one ends", function()
    local now, most, order = 0, 0, {}
    local functions = {}
    for i = 1, 20 do
      functions[i] = function()
        now, order[i] = now + 1, #order + 1
        most = math.max(most, now)
        sleep(i % 3 * 0.002)
        now = now - 1
        return i
      end
    end
    local values = run(function() return (parallel(functions, { limit = 3 })) end)
    assert.equal(3, most)
    assert.equal(20, #values)
    for i = 1, 20 do
      assert.equal(i, order[i])
      assert.equal(i, values[i])
    end
  end)

  it("is nested", function()
    local values = run(function()
      return parallel {
        function()
          return parallel { function() sleep(0.01) return 1 end, function() return 2 end }
        end,
        function()
          return parallel { function() return 3 end }
        end,
      }
    end)
    assert.same({ { 1, 2, n = 2 }, { 3, n = 1 }, n = 2 }, values)
  end)

  it("does not grow the stack, however many functions end at once", function()
    local count = run(function()
      local functions = {}
      for i = 1, 50000 do
        functions[i] = function() return i end
      end
      for _ = 1, 2000 do
        parallel { function() end }
      end
      return #parallel(functions, { limit = 7 })
    end)
    assert.equal(50000, count)
  end)
end)

describe("a failure in jobq.parallel", function()
  it("raises with its own traceback", function()
    local function deep()
      error "boom"
    end
    local why = raised_by(function()
      parallel { function() sleep(0.01) deep() end }
    end)
    local first = why:match "^([^\n]*)"
    local rest = why:sub(#first + 1)
    assert.matches("parallel_spec%.lua:%d+: boom$", first)
    assert.matches("^\nstack traceback:\n\t[^\n]*parallel_spec%.lua:%d+: in [^\n]*deep", rest)
    assert.is_nil(why:find("jobq.parallel:", 1, true)) -- nothing of our own code
  end)

  it("cancels the others, which may clean up and even wait, before it raises", function()
    local notes = {}
    local why = raised_by(function()
      parallel {
        noted(notes, "a", function()
          local ok, text = pcall(sleep, 30)
          table.insert(notes, tostring(ok) .. " " .. text)
          sleep(0.01)
        end),
        noted(notes, "b", function() sleep(30) end),
        noted(notes, "c", function() sleep(0.005) error("boom", 0) end),
      }
    end)
    assert.equal("boom", why:match "^[^\n]*")
    local told = table.concat(notes, "\n")
    assert.matches("^start a\nstart b\nstart c\nend c\n", told)
    assert.matches("false .*cancelled: another function of jobq.parallel failed\n", told)
    assert.equal("end a", notes[#notes])
    assert.matches("\nend b\n", told)
  end)

  it("starts no further function", function()
    local started = 0
    local functions = { function() started = started + 1 error "boom" end }
    for i = 2, 10 do
      functions[i] = function() started = started + 1 end
    end
    raised_by(function() parallel(functions, { limit = 1 }) end)
    assert.equal(1, started)
  end)

  it("is the first one", function()
    local why = raised_by(function()
      parallel {
        function() pcall(sleep, 30) error("second", 0) end,
        function() error("first", 0) end,
      }
    end)
    assert.equal("first", why:match "^[^\n]*")
  end)

  it("leaves error values as they are", function()
    local value = { code = "gone" }
    local ok, got = run(function()
      return pcall(parallel, { function() error(value) end })
    end)
    assert.is_false(ok)
    assert.equal(value, got)
    assert.same({ false, nil, n = 2 }, table.pack(run(function()
      return pcall(parallel, { function() error(nil) end })
    end)))
  end)

  it("that is expected is answered with nil, message, code", function()
    local notes = {}
    local got = table.pack(run(function()
      local values, message, code = parallel {
        noted(notes, "a", function() sleep(30) end),
        function() return nil, "not there", "ENOENT" end,
      }
      return values, message, code
    end))
    assert.same({ nil, "not there", "ENOENT", n = 3 }, got)
    assert.same({ "start a", "end a" }, notes)
  end)

  it("may be a bare yield, which names its place", function()
    local why = raised_by(function()
      parallel { function() coroutine.yield() end, function() sleep(30) end }
    end)
    assert.matches("parallel_spec.lua:%d+: coroutine.yield outside of a coroutine", why)
  end)
end)

describe("a stop in jobq.parallel", function()
  it("reaches all functions, nested ones too, and is raised when they have ended", function()
    local notes = {}
    local why = raised_by(function()
      parallel {
        noted(notes, "a", function() sleep(30) end),
        noted(notes, "b", function()
          parallel {
            noted(notes, "c", function() sleep(30) end),
            noted(notes, "d", function()
              local ok, text = pcall(sleep, 30)
              assert(not ok and text:find "stopped after 0.05 s$")
              sleep(0.01)
            end),
          }
        end),
      }
      table.insert(notes, "not reached")
    end, 0.05)
    assert.matches("parallel_spec.lua:%d+: stopped after 0.05 s", why)
    assert.equal(8, #notes)
    assert.equal("end b", notes[8])
    assert.equal("end d", notes[7])
  end)

  it("starts no further function", function()
    local started = 0
    local functions = {}
    for i = 1, 5 do
      functions[i] = function()
        started = started + 1
        pcall(sleep, 30)
      end
    end
    raised_by(function() parallel(functions, { limit = 2 }) end, 0.02)
    assert.equal(2, started)
  end)

  it("can be caught: the run may go on", function()
    local ok, value = run(function()
      local caught = pcall(parallel, { function() sleep(30) end })
      local values = parallel { function() sleep(0.01) return 7 end }
      return caught, values[1]
    end, 0.02)
    assert.is_false(ok)
    assert.equal(7, value)
  end)
end)

describe("misuse of jobq.parallel", function()
  local function refused(message, ...)
    local args = table.pack(...)
    local why = raised_by(function()
      local values = parallel(table.unpack(args, 1, args.n))
      return values
    end)
    assert.equal(message, why:match "parallel_spec%.lua:%d+: (.*)$")
  end

  it("raises", function()
    refused("jobq.parallel: expected an array of functions, got a function", print)
    refused("jobq.parallel: [2]: expected a function, got 7", { print, 7 })
    refused("jobq.parallel: expected an array of functions, got the key 'a'", { a = print })
    refused("jobq.parallel: options: expected a table, got 3", { print }, 3)
    refused("jobq.parallel: unknown option 'limt'\nhint: did you mean 'limit'?", {}, { limt = 3 })
    refused("jobq.parallel: limit: expected a positive integer, got 0", {}, { limit = 0 })
  end)

  it("raises outside of a run, and in a coroutine of the run", function()
    local ok, why = pcall(function() parallel {} end)
    assert.is_false(ok)
    assert.matches("parallel_spec.lua:%d+: jobq.parallel can only wait inside run$", why)
    why = raised_by(function()
      coroutine.wrap(function() parallel {} end)()
    end)
    assert.matches("jobq.parallel can only wait inside run itself, not in a coroutine", why)
  end)
end)
