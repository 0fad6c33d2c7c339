--- What the documentation shows is so: every block of every page is run, from top to bottom.
local page = require "support.page"
local snippets = require "support.snippets"

-- What cannot be run here must be the exception.
local MOST_NOT_RUN = 1 / 4

local pages = {}
for _, path in ipairs(page.find_all()) do
  table.insert(pages, page.read(path))
end

--- Calls with each block that could be run, and its place.
local function each_block(call)
  for _, each in ipairs(pages) do
    for _, block in ipairs(each.blocks) do
      if snippets.is_runnable(block) then
        call(block, ("%s:%d"):format(each.path, block.line), each)
      end
    end
  end
end

describe("the documentation", function()
  it("says why for each block that is not run", function()
    each_block(function(block, place)
      local why = block.notes["not run"]
      assert.is_true(why == nil or #tostring(why) > 10, place)
    end)
  end)

  it("runs most of them", function()
    local runnable, not_run = 0, 0
    each_block(function(block)
      runnable = runnable + 1
      not_run = not_run + (block.notes["not run"] and 1 or 0)
    end)
    assert.is_true(runnable > 0)
    assert.is_true(not_run <= runnable * MOST_NOT_RUN,
      ("%d of %d blocks are not run"):format(not_run, runnable))
  end)

  it("uses each program that it writes", function()
    each_block(function(block, place, each)
      if block.name and not block.name:find "^handlers/" and not block.name:find "%.conf$" then
        local name = block.name:gsub("%p", "%%%0")
        assert.truthy(each.text:find("\n%$ [^\n]*" .. name), place)
      end
    end)
  end)
end)

for _, each in ipairs(pages) do
  describe(each.path, function()
    it("shows what is so", function()
      snippets.run(each)
    end)
  end)
end
