require "support.admin"

local options = require "_options"

local ROWS = {
  { "--status S", "", type = "choice", choices = { "pending", "failed" } },
  { "--limit N", "", type = "integer", min = 1, max = 100 },
  { "--tag TAG", "", many = true },
  { "--max-attempts N", "", type = "integer", min = 1, max = 10 },
  { "--delay T", "", type = "duration" },
  { "--embedded[=DIR]", "" },
  { "--json", "" },
  { "--columns A,B", "", type = "list", choices = { "id", "kind" } },
  { "--arg NAME=VALUE", "", type = "pair" },
  { "--since T", "", type = "moment" },
  { "--help", "", short = "h" },
}

local function scan(...)
  return options.scan(ROWS, { ... }, 1)
end

local function refusal(...)
  local done, failure = pcall(scan, ...)
  assert.is_false(done)
  assert.equal("usage", failure.code)
  return failure.message, failure.hint
end

describe("the command line", function()
  it("takes values behind a blank and behind '='", function()
    assert.same({ status = "failed", limit = 7 }, (scan("--status", "failed", "--limit=7")))
  end)

  it("takes options between words, in any order", function()
    local values, plain = scan("42", "--json", "43")
    assert.same({ json = true }, values)
    assert.same({ "42", "43" }, plain)
  end)

  it("collects what may be repeated", function()
    assert.same({ "a", "b" }, scan("--tag", "a", "--tag=b").tag)
  end)

  it("knows values that may be missing", function()
    assert.is_true(scan("--embedded").embedded)
    assert.equal("/tmp/x", scan("--embedded=/tmp/x").embedded)
  end)

  it("writes names with '_' for '-'", function()
    assert.equal(3, scan("--max-attempts", "3").max_attempts)
  end)

  it("takes nothing behind '--' for an option, nor a single '-'", function()
    assert.same({ "-", "--json" }, (select(2, scan("-", "--", "--json"))))
  end)

  it("knows -h", function()
    assert.is_true(scan("-h").help)
  end)

  it("reads durations as seconds", function()
    for text, seconds in pairs { ["500ms"] = 0.5, ["10s"] = 10, ["5m"] = 300, ["1.5"] = 1.5 } do
      assert.near(seconds, scan("--delay", text).delay, 1e-9)
    end
  end)

  it("reads lists, pairs and moments", function()
    assert.same({ "kind", "id" }, scan("--columns", "kind,id").columns)
    assert.same({ "a.b", "c=d" }, scan("--arg", "a.b=c=d").arg)
    assert.same({ ago = 3600 }, scan("--since", "1h").since)
    assert.same({ at = "2030-12-24T08:00:00Z" }, scan("--since", "2030-12-24T08:00:00Z").since)
    local message, hint = refusal("--columns", "id,knd")
    assert.equal("--columns: 'knd' is none of id, kind", message)
    assert.equal("did you mean 'kind'?", hint)
    assert.equal("--columns: ',' names none of id, kind", (refusal("--columns", ",")))
    assert.equal("--arg: 'x' is not of the form name=value", (refusal("--arg", "x")))
    assert.equal("--since: 'soon' is neither a duration nor a time", (refusal("--since", "soon")))
  end)

  it("suggests names that are near", function()
    local message, hint = refusal "--statsu=x"
    assert.equal("unknown option '--statsu'", message)
    assert.equal("did you mean '--status'?", hint)
    local all = "known are --status, --limit, --tag, --max-attempts, --delay, --embedded, --json, "
      .. "--columns, --arg, --since, --help"
    assert.equal(all, select(2, refusal "--nonsense"))
  end)

  it("names the value and what was expected", function()
    assert.equal("--limit: 'ten' is not an integer from 1 to 100", (refusal("--limit", "ten")))
    assert.equal("--limit: '101' is not an integer from 1 to 100", (refusal("--limit", "101")))
    assert.equal("--limit: '99999999999999999999' is not an integer from 1 to 100",
      (refusal("--limit", "99999999999999999999")))
    local message, hint = refusal("--status", "faild")
    assert.equal("--status: 'faild' is none of pending, failed", message)
    assert.equal("did you mean 'failed'?", hint)
    message, hint = refusal("--delay", "5min")
    assert.equal("--delay: '5min' is not a duration", message)
    assert.equal("write 500ms, 10s, 5m, 2h or 7d", hint)
  end)

  it("misses values and refuses those of switches", function()
    assert.equal("--limit needs a value: --limit N", (refusal "--limit"))
    assert.equal("--limit needs a value: --limit N", (refusal("--limit", "--json")))
    assert.equal("--json takes no value", (refusal "--json=yes"))
    assert.equal("unknown option '-x'", (refusal "-x"))
  end)
end)

describe("arguments", function()
  it("are bound by name", function()
    local rows = { { "KIND", "" }, { "[JSON]", "" } }
    assert.same({ kind = "a", json = "{}" }, options.bind(rows, { "a", "{}" }))
    assert.same({ kind = "a" }, options.bind(rows, { "a" }))
  end)

  it("may be many", function()
    assert.same({ id = { 1, 2 } }, options.bind({ { "ID...", "", type = "id" } }, { "1", "2" }))
  end)

  for _, case in ipairs {
    { {}, "ID is missing: the job" },
    { { "1", "2" }, "unexpected argument '2'" },
    { { "x" }, "ID: 'x' is not the id of a job, expected a positive integer" },
    { { "0" }, "ID: '0' is not the id of a job, expected a positive integer" },
    {
      { "9223372036854775808" },
      "ID: '9223372036854775808' is not the id of a job, expected a positive integer",
    },
  } do
    it("are refused: " .. case[2], function()
      local done, failure = pcall(options.bind, { { "ID", "the job", type = "id" } }, case[1])
      assert.is_false(done)
      assert.equal("usage", failure.code)
      assert.equal(case[2], failure.message)
    end)
  end
end)
