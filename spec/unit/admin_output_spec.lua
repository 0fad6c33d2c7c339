require "support.admin"

local json = require "_json"
local near = require "_near"
local tables = require "_table"
local text = require "_text"
local time = require "_time"

describe("text on a terminal", function()
  it("shows what a terminal would obey", function()
    assert.equal("\\u001b[31mred\\u0007", text.clean "\27[31mred\7")
    assert.equal("two\\nlines\\t\\r\\u007f", text.clean "two\nlines\t\r\127")
    assert.equal("\\u009b2J \\u202eevil \\u2066", text.clean "\u{9b}2J \u{202e}evil \u{2066}")
  end)

  it("leaves other text alone, and shows bytes that are none", function()
    assert.equal("grüße 漢字 😀", text.clean "grüße 漢字 😀")
    assert.equal("caf\\xe9", text.clean "caf\xe9")
  end)

  it("is cut by columns, not by bytes", function()
    assert.equal("grüße", text.cut("grüße", 5))
    assert.equal("grü…", text.cut("grüße", 4))
    assert.equal("漢…", text.cut("漢字漢", 4))
  end)

  it("comes in lines", function()
    assert.same({ "a", "  b", "c" }, text.lines "a\n\tb\nc\n")
  end)
end)

describe("tables", function()
  local columns = {
    { "id", "id", right = true }, { "kind", "kind", flex = true },
    { "error", "error", flex = true, optional = true },
  }

  it("align", function()
    assert.same({ "id  kind", " 1  a", "10  email" },
      tables.lines(columns, { { id = 1, kind = "a" }, { id = 10, kind = "email" } }))
  end)

  it("fit the terminal by cutting the widest flexible column", function()
    local rows = { { id = 1, kind = "email.send", error = ("x"):rep(100) } }
    local lines = tables.lines(columns, rows, 30)
    assert.equal(30, text.width(lines[2]))
    assert.match("^ 1  email%.send  x+…$", lines[2])
  end)

  it("keep a cell on its line", function()
    assert.same({ "id  kind", " 1  a\\nb" }, tables.lines(columns, { { id = 1, kind = "a\nb" } }))
  end)
end)

describe("times", function()
  it("are told as people do", function()
    assert.equal("40 ms", time.span(0.04))
    assert.equal("59s", time.span(59.9))
    assert.equal("3m ago", time.ago(200))
    assert.equal("2h ago", time.ago(7300))
    assert.equal("4d ago", time.ago(4 * 86400 + 1))
    assert.equal("in 5m", time.ago(-301))
    assert.equal("now", time.ago(0.2))
  end)
end)

describe("--json", function()
  it("keeps the order of fields, and null", function()
    local value = json.object { { "b", 1 }, { "a" }, { "list", { "x", true } }, { "none", {} } }
    assert.equal('{"b":1,"a":null,"list":["x",true],"none":[]}', json.encode(value))
  end)

  it("passes JSON of the database on as it is", function()
    local raw = json.raw '{"n":12345678901234567890123,"x":1.10}'
    assert.equal('{"args":{"n":12345678901234567890123,"x":1.10}}',
      json.encode(json.object { { "args", raw } }))
  end)

  it("is exact", function()
    assert.equal("[9223372036854775807,0.1]", json.encode { math.maxinteger, 0.1 })
  end)

  it("escapes what a terminal would obey", function()
    assert.equal([["\u001b \u009b \u007f"]], json.encode "\27 \u{9b} \127")
  end)
end)

describe("suggestions", function()
  local names = { "retry", "jobs", "job", "stats", "workers" }

  it("are at distance 1 or 2", function()
    assert.equal("retry", near.nearest("retyr", names))
    assert.equal("workers", near.nearest("worker", names))
    assert.equal("stats", near.nearest("status", names))
    assert.is_nil(near.nearest("enqueue", names))
  end)

  it("are not made for a single letter", function()
    assert.is_nil(near.nearest("x", names))
  end)
end)
