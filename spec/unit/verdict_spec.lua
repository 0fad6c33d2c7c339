local verdict = require "jobq.verdict"

describe("jobq.verdict", function()
  it("makes values that are verdicts", function()
    assert.is_true(verdict.is(verdict.done()))
    assert.is_true(verdict.is(verdict.snooze(0)))
    assert.is_false(verdict.is({}))
    assert.is_false(verdict.is("done"))
  end)

  it("keeps a result that is false", function()
    assert.equal(false, verdict.done(false).result)
  end)

  it("refuses what makes no sense", function()
    assert.has_error(function() verdict.snooze(-1) end,
      "jobq.snooze: '-1' is not a number of seconds")
    assert.has_error(function() verdict.retry("later", "soon") end,
      "jobq.retry: 'soon' is not a number of seconds")
    assert.has_error(function() verdict.discard() end,
      "jobq.discard: expected a text that says why, got nil")
  end)
end)
