local families = require "support.families"
local files = require "support.files"
local jobq = require "support.jobq"

describe("the sample application", function()
  it("is made again from nothing, with a few of each", function()
    local db = families.database()
    db:query(files.read "handlers/sample/schema.sql")
    db:query(files.read "handlers/sample/data.sql")
    for _, table in ipairs { "users", "uploads", "invites", "notifications", "subscriptions",
      "preferences", "suppressions", "audit_log" } do
      assert.is_true(db:value("select count(*) > 0 from app." .. table), table)
    end
  end)

  it("has handlers that load with the defaults of their settings, and run", function()
    local answer = jobq(nil, { "check", "handlers" })
    assert.same({ 0, "" }, { answer.status, answer.err })
    local db = families.database()
    families.worker(db, { ["file.root"] = "/nowhere" })
    local job = families.run(db, "file.compress", { path = "a.txt" })
    assert.same({ "failed", "/nowhere: no such file or directory" }, { job.status, job.error })
  end)
end)
