--- Links lead to headings that are there. (That they lead to files is looked at by scripts/lint.)
local files = require "support.files"
local page = require "support.page"

--- As the web pages of repositories make it of a heading.
local function anchor_of(heading)
  return (heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

local function anchors(path)
  local found = {}
  for heading in ("\n" .. files.read(path)):gmatch "\n#+ +([^\n]+)" do
    found[anchor_of(heading)] = true
  end
  return found
end

--- Links of a page that name a heading which does not exist.
local function broken(path, text)
  local found = {}
  for target, anchor in text:gmatch "%]%(([^)#: ]*)#([^)]+)%)" do
    local to = target == "" and path or path:gsub("[^/]*$", "") .. target
    if not files.exists(to) or not anchors(to)[anchor] then
      table.insert(found, ("%s#%s"):format(target, anchor))
    end
  end
  return found
end

describe("links between pages", function()
  it("lead to headings that are there", function()
    for _, path in ipairs(page.find_all()) do
      assert.same({}, broken(path, files.read(path)), path)
    end
  end)

  it("are told when they do not", function()
    local text = "[a](#a-job-stays-pending) [b](#a-job-flies) [c](../README.md#what-you-may)"
    assert.same({ "#a-job-flies", "../README.md#what-you-may" },
      broken("docs/how-to/troubleshoot.md", text))
  end)
end)
