local nearest = require "jobq.nearest"

describe("jobq.nearest", function()
  local commands = { "cancel", "jobs", "retry", "stats" }

  it("finds a name one or two letters away", function()
    assert.equal("retry", nearest.find("retyr", commands))
    assert.equal("jobs", nearest.find("job", commands))
    assert.equal("cancel", nearest.find("cancle", commands))
    assert.is_nil(nearest.find("delete", commands))
  end)

  it("takes the keys of a table of options", function()
    assert.equal("timeout", nearest.find("timout", { timeout = 60, queue = "x" }))
  end)

  it("does not take a short name for just any other", function()
    assert.is_nil(nearest.find("ab", { "xy" }))
  end)

  it("makes a hint, or nothing", function()
    assert.equal("\nhint: did you mean 'stats'?", nearest.hint("stat", commands))
    assert.equal("", nearest.hint("x", commands))
    assert.equal("", nearest.hint(4, commands))
  end)
end)
