local settings = require "jobq.settings"

describe("jobq.config", function()
  setup(function()
    settings.load "smtp.host=mx1\nsmtp.port=25\nsmtp.port=2525\nempty=\nurl=http://x/?a=b\n"
  end)

  it("answers what is set, the last line counts", function()
    assert.equal("mx1", settings.get "smtp.host")
    assert.equal("2525", settings.get "smtp.port")
    assert.equal("", settings.get "empty")
    assert.equal("http://x/?a=b", settings.get "url")
  end)

  it("answers the default, also when that is nil", function()
    assert.equal(7, settings.get("other", 7))
    assert.is_nil(settings.get("other", nil))
  end)

  it("raises without one", function()
    assert.error_matches(function() settings.get "smtp.hots" end,
      "setting 'smtp.hots' is not there\nhint: did you mean 'smtp.host'%?$")
    assert.error_matches(function() settings.get "sms.key" end,
      "\nhint: pass %-%-set sms.key=VALUE, or set JOBQ_SMS_KEY$")
  end)
end)
