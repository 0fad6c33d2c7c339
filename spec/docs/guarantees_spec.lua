--- Each guarantee is shown by tests, and these are there.
local files = require "support.files"

local PAGE = "docs/explanation/guarantees.md"

--- Sections of level 2 above "What you may not rely on", with the tests that each names.
local function sections()
  local found = {}
  for line in io.lines(PAGE) do
    if line:find "^# What you may not" then
      break
    elseif line:find "^## " then
      table.insert(found, { title = line:sub(4), tests = {} })
    end
    local path, name = line:match "^%- %[[^%]]+%]%(%.%./%.%./(spec/[^)]+)%): (.+)$"
    if path then
      table.insert(found[#found].tests, { path = path, name = name })
    end
  end
  return found
end

--- The name may be a part: some tests get the rest of theirs from a table.
local function has_test(path, name)
  for line in (files.read(path) or ""):gmatch "[^\n]+" do
    if line:find "^%s*it%(" and line:find(name, 1, true) then
      return true
    end
  end
  return false
end

describe("each guarantee", function()
  it("names tests, and they are there", function()
    local all = sections()
    assert.is_true(#all >= 8)
    for _, section in ipairs(all) do
      assert.is_true(#section.tests > 0, section.title)
      for _, test in ipairs(section.tests) do
        assert.is_true(has_test(test.path, test.name), test.path .. ": " .. test.name)
      end
    end
    assert.is_false(has_test("spec/db/enqueue_spec.lua", "does what nobody has tested"))
  end)
end)
