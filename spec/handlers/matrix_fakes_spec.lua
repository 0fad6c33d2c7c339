--- The matrix family without a homeserver: runs that are killed at each of their waits, and pauses
--- that are too long for a real one.
local files = require "support.files"
local t = require "jobq.testing"

local URL = "http://hs.test"
local ADMIN = URL .. "/_synapse/admin"

local run = t.handlers "handlers/matrix.lua"

before_each(function()
  t.config { ["matrix.homeserver"] = URL, ["matrix.token"] = "syt_secret" }
end)

local function on(method, url, json, options)
  t.http.on(method, url, { json = json }, options)
end

describe("matrix.room_cleanup", function()
  local AGAIN = { again = true } -- a room that is gone stays gone

  local function set_up()
    on("GET", ADMIN .. "/v1/rooms/%21a", { room_id = "!a", joined_local_members = 1 })
    on("GET", ADMIN .. "/v2/rooms/%21a/delete_status", { results = {} })
    on("DELETE", ADMIN .. "/v2/rooms/%21a", { delete_id = "d1" }, AGAIN)
  end

  local function status(...)
    local answers, i = { ... }, 0
    t.http.on("GET", ADMIN .. "/v2/rooms/delete_status/d1", function()
      i = math.min(i + 1, #answers)
      return { json = { status = answers[i], shutdown_room = { kicked_users = { "@ann:a" } } } }
    end)
  end

  it("does the same, however it is killed", function()
    set_up()
    status "complete"
    t.crash_everywhere()
    local report = run("matrix.room_cleanup", { dry_run = false, rooms = { "!a" } })
    assert.same({ found = 1, removed = 1, evicted = 1 }, report.result)
  end)

  it("gives its slot back while a large room is removed", function()
    set_up()
    status "active"
    local report = run("matrix.room_cleanup", { dry_run = false, rooms = { "!a" } })
    assert.equal("park", report.verdict)
    status "complete"
    report = run("matrix.room_cleanup", { dry_run = false, rooms = { "!a" } },
      { steps = report.steps })
    assert.same({ found = 1, removed = 1, evicted = 1 }, report.result)
    for _, request in ipairs(report.requests) do
      assert.equal("GET", request.method)
    end
  end)

  it("names the rooms that the homeserver could not remove", function()
    set_up()
    status "failed"
    local report = run("matrix.room_cleanup", { dry_run = false, rooms = { "!a" } })
    assert.same({ "discard", "1 of 1 rooms are still there, its log says why: !a" },
      { report.verdict, report.error })
  end)
end)

describe("a homeserver that is asked too often", function()
  local function limited(reply)
    reply.status = 429
    t.http.on("GET", ADMIN .. "/v2/users/%40ann%3Aa", reply)
    return run("matrix.user_export", { user = "@ann:a" })
  end

  it("is left alone for as long as it says, without a slot", function()
    local report = limited { json = { errcode = "M_LIMIT_EXCEEDED", retry_after_ms = 90500 } }
    assert.same({ "snooze", 90.5, 1 }, { report.verdict, report.delay, #report.requests })
    report = limited { headers = { ["Retry-After"] = "60" } }
    assert.same({ "snooze", 60 }, { report.verdict, report.delay })
  end)

  it("is asked again in place after a short pause", function()
    local answers = { { status = 429, json = { retry_after_ms = 2500 } }, 404 }
    t.http.on("GET", ADMIN .. "/v2/users/%40ann%3Aa", function()
      return table.remove(answers, 1)
    end)
    local report = run("matrix.user_export", { user = "@ann:a" })
    assert.same({ "discard", 2.5, 2 }, { report.verdict, report.slept, #report.requests })
  end)
end)

describe("matrix.user_export", function()
  --- Two pages of one room, and a medium that is not given out; more: all there may be.
  local function set_up(folder, more)
    t.config { ["matrix.exports"] = folder, ["matrix.page"] = 2 }
    on("GET", ADMIN .. "/v2/users/%40ann%3Aa", { name = "@ann:a" })
    on("GET", ADMIN .. "/v2/users/%40ann%3Aa/devices", { devices = {} })
    on("GET", ADMIN .. "/v1/users/%40ann%3Aa/accountdata", {})
    on("GET", ADMIN .. "/v1/users/%40ann%3Aa/memberships",
      { memberships = { ["!a"] = "join", ["!b"] = more and "leave" or nil } })
    on("GET", ADMIN .. "/v1/rooms/%21a", { room_id = "!a" })
    t.http.on("GET", ADMIN .. "/v1/rooms/%21b", 404)
    t.http.on("GET", ADMIN .. "/v1/rooms/%21b/messages*", 404)
    t.http.on("GET", ADMIN .. "/v1/rooms/%21a/messages*", function(request)
      return { json = request.url:find "from=x" and { chunk = { { n = 3 } } }
        or { chunk = { { n = 1 }, { n = 2 } }, ["end"] = "x" } }
    end)
    on("GET", ADMIN .. "/v1/users/%40ann%3Aa/media*",
      { total = 2, media = { { media_id = "m2" },
        more and { media_id = "m1", upload_name = "a.txt" } or nil } })
    t.http.on("GET", URL .. "/_matrix/client/v1/media/download/a/m1", { body = "text" })
    t.http.on("GET", URL .. "/_matrix/client/v1/media/download/a/m2", 404)
    t.process.on("tar", function(words)
      files.write(words[4], "a tar")
      return { status = 0 }
    end, { again = true })
  end

  it("makes the same archive, however it is killed", function()
    local folder = t.folder()
    set_up(folder)
    t.crash_everywhere()
    local report = run("matrix.user_export", { user = "@ann:a" })
    assert.equal("done", report.verdict, report.error)
    assert.same({ rooms = 1, messages = 3, media = 0, missing = 1 }, report.result.counts)
    assert.same({ "ann_a-1.tar.zst" }, files.list(folder))
  end)

  it("begins anew where the folder of its checkpoint is not", function()
    local folder = t.folder()
    set_up(folder, true)
    t.http.on("GET", URL .. "/_matrix/client/v1/media/download/a/m1", 503)
    local first = run("matrix.user_export", { user = "@ann:a" })
    assert.same({ "failed", "http_503" }, { first.verdict, first.error:match "http_503" })
    files.remove(files.glob(folder .. "/.export-*")[1])
    t.http.on("GET", URL .. "/_matrix/client/v1/media/download/a/m1", { body = "text" })
    local report = run("matrix.user_export", { user = "@ann:a" },
      { steps = first.steps, attempt = 2 })
    assert.same({ rooms = 2, messages = 3, media = 1, missing = 1 }, report.result.counts)
    assert.same({ "ann_a-1.tar.zst" }, files.list(folder))
  end)
end)

describe("matrix.profile_sync", function()
  it("does the same, however it is killed", function()
    local db = t.database()
    db:query "create schema app"
    db:query [[create table app.users as
      select '@a' || n as matrix_id, 'A' || n as name, null as avatar from generate_series(2, 3) n]]
    t.config { ["matrix.page"] = 1 }
    for i = 2, 3 do
      on("GET", ADMIN .. "/v2/users/%40a" .. i, { displayname = i == 2 and "A2" or "old" })
      on("PUT", URL .. "/_matrix/client/v3/profile/%40a" .. i .. "/displayname", {},
        { again = true })
    end
    t.crash_everywhere()
    local report = run("matrix.profile_sync", {})
    assert.same({ checked = 2, changed = 1, same = 1, missing = 0, refused = 0 }, report.result)
  end)
end)
