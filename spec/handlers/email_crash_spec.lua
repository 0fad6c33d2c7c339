--- The mail family, killed before and after each of its waits: a mail that goes twice has the same
--- Message-ID, a batch is added once, what a digest has told of is marked.
local files = require "support.files"
local t = require "jobq.testing"

describe("killed at each wait,", function()
  local run = t.handlers "handlers/email.lua"
  local db

  before_each(function()
    db = t.database()
    db:query(files.read "handlers/sample/schema.sql")
    db:query(files.read "handlers/sample/data.sql")
    t.config {
      ["email.unsubscribe_url"] = "https://example.org/u",
      ["email.unsubscribe_key"] = "a key of sixteen bytes or more",
    }
    t.crash_everywhere()
  end)

  it("a mail is sent once", function()
    t.smtp.replies { 250, "queued as 7" }
    local report = run("email.send", { to = { "ann@example.org", "gone@example.org" },
      subject = "hi", text = "hello\n" })
    assert.same({ "done", 1 }, { report.verdict, #report.mails })
  end)

  it("the mails of a batch are added once", function()
    local report = run("email.batch", { subject = "hi", text = "hello\n", recipients = {
      { to = "ann@example.org" }, { to = "bjoern@example.org" }, { to = "gone@example.org" },
    } })
    assert.same({ 2, 1 }, { report.result.mails, report.result.suppressed })
    assert.equal(2, #t.enqueued())
  end)

  it("a digest tells of the same, and marks that", function()
    t.smtp.replies { 250, "queued as 7" }
    local report = run("email.digest", { user = 1 })
    assert.same({ "done", 3 }, { report.verdict, report.result.items })
    assert.equal(0, db:value [[select count(*) from app.notifications
      where user_id = 1 and digested_at is null]])
  end)

  it("each user gets one digest", function()
    assert.same({ users = 4 }, run("email.digests").result)
    assert.equal(4, #t.enqueued())
  end)
end)
