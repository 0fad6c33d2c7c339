local strict = require "jobq.strict"

describe("jobq.strict", function()
  local api = strict.close("jobq", { smtp = 1, sleep = 2 })

  it("gives what is there", function()
    assert.equal(1, api.smtp)
  end)

  it("names what may have been meant", function()
    assert.error_matches(function() return api.smpt end,
      "jobq has no field 'smpt'\nhint: did you mean 'smtp'%?$")
    assert.error_matches(function() return api.other end, "jobq has no field 'other'$")
  end)

  it("is read-only", function()
    assert.error_matches(function() api.more = 1 end, "jobq is read%-only: 'more' cannot be set")
  end)
end)
