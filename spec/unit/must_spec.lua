local core = require "jobq.core"
local jobq = require "jobq"
local must = require "jobq.must"

--- What must raises for these arguments.
local function raised(...)
  local ok, failure = pcall(jobq.must, ...)
  assert.is_false(ok)
  return failure
end

local function reply(status)
  return setmetatable({ status = status, url = "http://ann@127.0.0.1:8080/a?b#c" },
    { __name = "jobq.http.reply" })
end

describe("jobq.must", function()
  it("gives what it got", function()
    assert.same({ 1, "a", nil, 4, n = 4 }, table.pack(jobq.must(1, "a", nil, 4)))
    assert.equal("", jobq.must(""))
    assert.equal(399, jobq.must(reply(399)).status)
    assert.equal(500, jobq.must({ status = 500 }).status) -- no reply
    assert.equal(500, jobq.must(setmetatable({ status = 500 }, { __name = "other" })).status)
  end)

  it("raises what went wrong, with code and place", function()
    local ok, failure = pcall(function()
      local value = jobq.must(nil, "no such user", "smtp_550")
      return value
    end)
    assert.is_false(ok)
    assert.equal("smtp_550", failure.code)
    assert.matches("must_spec.lua:28: no such user$", failure.message)
    assert.matches("must_spec.lua:28: no such user %(smtp_550%)$", tostring(failure))
    assert.equal(tostring(failure), core.task.explain(failure))
  end)

  it("takes false for a failure, and any message", function()
    assert.matches("closed$", raised(false, "closed").message)
    assert.matches("expected a value, got nil$", raised(nil).message)
    assert.matches("expected a value, got false$", raised(false).message)
    assert.matches("broken %(x%)$", raised(nil, { message = "broken", code = "x" }).message)
  end)

  it("takes a reply that says no for a failure", function()
    local failure = raised(reply(404))
    assert.matches("http 404 from 127.0.0.1:8080$", failure.message)
    assert.equal("http_404", failure.code)
    local plain = reply(503)
    plain.url = "https://example.org"
    assert.matches("http 503 from example.org$", raised(plain).message)
  end)

  it("knows what another attempt cannot mend", function()
    local permanent = { "smtp_550", "smtp_554", "bad_address", "http_400", "http_404", "http_499" }
    local passing = { "smtp_421", "smtp_451", "connect", "timeout", "http_408", "http_425",
      "http_429", "http_500", "http_503", "http_40", "http_4044", "xhttp_404" }
    for _, code in ipairs(permanent) do
      assert.is_true(must.is_permanent(raised(nil, "x", code)), code)
    end
    for _, code in ipairs(passing) do
      assert.is_false(must.is_permanent(raised(nil, "x", code)), code)
    end
    assert.is_false(must.is_permanent(raised(nil, "x")))
    assert.is_false(must.is_permanent { code = "smtp_550" })
    assert.is_false(must.is_permanent "smtp_550")
  end)
end)
