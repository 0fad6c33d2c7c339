--- The notification family, killed before and after each of its waits: nothing is told twice
--- without a mark by which its receiver can see it, and nothing is left out.
local files = require "support.files"
local t = require "jobq.testing"

describe("killed at each wait,", function()
  local run = t.handlers "handlers/notification.lua"
  local HOOK = "https://hooks.example.org/"
  local db

  before_each(function()
    db = t.database()
    db:query(files.read "handlers/sample/schema.sql")
    db:query(files.read "handlers/sample/data.sql")
    db:query "delete from app.subscriptions"
    db:query "update app.users set quiet_from = null"
    t.crash_everywhere()
  end)

  local function subscribe(user, name)
    db:query([[insert into app.subscriptions (user_id, channel, address, keys)
      values ($1, 'webhook', $2, '{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}')]],
      user, HOOK .. name)
  end

  it("a push is shown and sent once, and what is gone is removed", function()
    for _, name in ipairs { "one", "gone", "three" } do
      subscribe(1, name)
      t.http.on("POST", HOOK .. name, name == "gone" and 410 or 204)
    end
    local report = run("notification.push", { user = 1, title = "Hello" })
    assert.same({ "done", { sent = 2, gone = 1, refused = {} } }, { report.verdict, report.result })
    assert.equal(2, db:value "select count(*) from app.subscriptions")
  end)

  it("a batch is added once", function()
    local report = run("notification.batch", { title = "Hello", users = { 1, 2, 3 } })
    assert.same({ "done", 3 }, { report.verdict, report.result.users })
  end)

  it("or not, a batch takes more users than one statement", function()
    t.crash_everywhere(false)
    db:query [[insert into app.users (email, name)
      select n || '@example.org', n from generate_series(1, 1100) n]]
    local report = run("notification.batch", { title = "Hello" })
    assert.equal(1104, report.result.users)
    assert.equal(1104, #t.enqueued())
  end)

  it("a digest tells of the same, and marks that", function()
    subscribe(1, "one")
    t.http.on("POST", HOOK .. "one", 204)
    local report = run("notification.digest", { user = 1 })
    assert.same({ "done", 3 }, { report.verdict, report.result.items })
    assert.equal(0, db:value [[select count(*) from app.notifications
      where user_id = 1 and digested_at is null]])
  end)
end)
