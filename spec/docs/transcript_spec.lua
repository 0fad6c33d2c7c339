--- The judge of the documentation's console blocks is judged first.
local page = require "support.page"
local transcript = require "support.transcript"

local function agree(expected, printed)
  return transcript.match(expected, printed)
end

describe("a console block", function()
  it("is commands and what they print", function()
    assert.same({
      { "jobq jobs", expected = { "id  kind", " 1  a" } },
      { "psql -c \"select 1\n  from x\"", expected = {} },
    }, transcript.parse("$ jobq jobs\nid  kind\n 1  a\n\n$ psql -c \"select 1\n>   from x\"\n"))
  end)

  it("begins with a command", function()
    assert.has_error(function()
      transcript.parse "job 1\n$ jobq job 1\n"
    end, "'job 1' is above the first command")
  end)

  it("agrees on every word, and on small numbers", function()
    assert.is_true(agree({ "attempt 3 of 3" }, { "attempt 3 of 3", "" }))
    assert.is_false(agree({ "attempt 3 of 3" }, { "attempt 2 of 3" }))
    assert.is_false(agree({ "a.b (c)" }, { "axb (c)" }))
    assert.is_false(agree({ "one" }, { "one", "two" }))
    assert.is_false(agree({ "one", "two" }, { "one" }))
  end)

  it("lets times, pids and widths differ", function()
    assert.is_true(agree({ "02:21:22.657 info  pid 4711" }, { "17:00:01.002 info pid 12" }))
    assert.is_true(agree({ "2026-11-26 in 0.5 s" }, { "2027-01-01  in 0 s" }))
    assert.is_false(agree({ "pid 4711" }, { "pid none" }))
  end)

  it("has gaps in lines and between them", function()
    assert.is_true(agree({ "a ... z", "...", "end" }, { "a b z", "1", "2", "end" }))
    assert.is_true(agree({ "...", "end" }, { "end" }))
    assert.is_false(agree({ "...", "end" }, { "1", "2" }))
  end)
end)

describe("a page", function()
  local path = os.tmpname()

  local function read(text)
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    file:flush()
    return page.read(path)
  end

  after_each(function()
    os.remove(path)
  end)

  it("has blocks with names and notes", function()
    local read_page = read("<!-- page: own database -->\n\n<!-- not run: why not -->\n\n"
      .. "```sh\nls\n```\n\n")
    assert.is_true(read_page.options["own database"])
    assert.same("why not", read_page.blocks[1].notes["not run"])
    assert.same({ "sh", "ls\n", 6 },
      { read_page.blocks[1].kind, read_page.blocks[1].text, read_page.blocks[1].line })
    local other = read "<!-- fails: 2 -->\ntext\n```lua\n-- handlers/a.lua\nreturn {}\n```\n"
    assert.same({}, other.blocks[1].notes)
    assert.equal("handlers/a.lua", other.blocks[1].name)
  end)

  it("ends each block", function()
    local ok, why = pcall(read, "```sh\nls\n")
    assert.same({ false, path .. ":2: the block has no end" }, { ok, why })
  end)
end)
