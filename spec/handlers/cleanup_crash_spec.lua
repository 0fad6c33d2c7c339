--- The cleanup family, killed before and after each of its waits: rows that are old go, are kept
--- once and counted once. How many files have gone a run knows of itself only: not for here.
local files = require "support.files"
local t = require "jobq.testing"

describe("killed at each wait,", function()
  local run = t.handlers "handlers/cleanup.lua"
  local db, folder

  before_each(function()
    db = t.database()
    db:query(files.read "handlers/sample/schema.sql")
    db:query(files.read "handlers/sample/data.sql")
    folder = t.folder()
    t.config {
      ["cleanup.archive"] = folder .. "/archive", ["cleanup.batch"] = 5, ["cleanup.pause"] = 0,
    }
    t.crash_everywhere()
  end)

  it("rows go, and are kept", function()
    local left = db:value [[select count(*) from app.audit_log
      where created_at > now() - interval '390 days']]
    run("cleanup.audit_logs", { days = 390, archive = true })
    assert.equal(left, db:value "select count(*) from app.audit_log")
  end)
end)
