local frames = require "faults.frames"
local plan = require "faults.plan"
local records = require "faults.records"

local function types_of(list)
  local types = {}
  for i, frame in ipairs(list) do
    types[i] = frame.type
  end
  return table.concat(types, " ")
end

describe("frames", function()
  local startup = string.pack(">I4I4", 12, 196608) .. "user"
  local bytes = startup .. "P\0\0\0\5x" .. "S\0\0\0\4"

  it("are cut from a stream however it arrives", function()
    for size = 1, #bytes do
      local reader = frames.reader(true)
      local found, passed = {}, {}
      for at = 1, #bytes, size do
        for _, frame in ipairs(reader:feed(bytes:sub(at, at + size - 1))) do
          table.insert(found, frame)
          table.insert(passed, frame.bytes)
        end
      end
      assert.equal("startup P S", types_of(found))
      assert.equal(bytes, table.concat(passed))
    end
  end)
end)

describe("a plan", function()
  it("is the same for the same seed, and another for another", function()
    local first, again, other = plan.random(7, 60), plan.random(7, 60), plan.random(8, 60)
    assert.same(first, again)
    assert.not_same(first, other)
    assert.is_true(#first > 8 and first[#first].at < 60)
  end)

  it("may have each fault once", function()
    local seen = {}
    for _, entry in ipairs(plan.each(3, 60, { "cut", "retry", "reload" })) do
      seen[entry.name] = (seen[entry.name] or 0) + 1
    end
    assert.same({ cut = 1, retry = 1, reload = 1 }, seen)
  end)
end)

describe("the lines of handlers", function()
  local function runs_of(text)
    return records.runs(text:gmatch "([^\n]*)\n")
  end

  it("become runs; one that was cut off has no end", function()
    local runs = runs_of [[
start 1 1 w1.1 100.10 77 chaos.quick
start 2 1 w1.1 100.11 77 chaos.sleep
end 1 1 w1.1 100.12 done
start 2 1 w2.1 104.00 78 chaos.sleep
end 2 1 w2.1 105.00 fail
]]
    assert.equal(3, #runs)
    assert.equal("done", runs[1].word)
    assert.is_nil(runs[2].ended)
    assert.equal(78, runs[3].pid)
    assert.equal("fail", runs[3].word)
  end)
end)
