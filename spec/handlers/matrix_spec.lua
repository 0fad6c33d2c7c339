--- The matrix family in a real worker, with a real Synapse.
local codec = require("jobq.core").json
local families = require "support.families"
local files = require "support.files"
local process = require "support.process"
local synapse = require "support.synapse"
local uv = require "luv"

local dir, server

setup(function()
  dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
  server = synapse.start(dir .. "/synapse")
end)

teardown(function()
  process.sweep(true)
  files.remove(dir)
end)

local QUICK_DEATH = { heartbeat_interval = "200ms", dead_after = "2s" }

local db, root

before_each(function()
  db = families.database()
  root = assert(uv.fs_mkdtemp(dir .. "/spec-XXXXXX"))
end)

--- One with our settings; others change them.
local function worker(others, options)
  local settings = { ["file.root"] = root, ["matrix.exports"] = root .. "/exports" }
  for _, given in ipairs { server.settings, others or {} } do
    for name, value in pairs(given) do
      settings[name] = value
    end
  end
  return families.worker(db, settings, options)
end

local function run(kind, args, more)
  local job = families.run(db, "matrix." .. kind, args, more)
  return job.result, job
end

--- { message, fields } of each line that the job has logged.
local function logs(job)
  local lines = {}
  for i, line in ipairs(db:query("select * from jobq.log where job_id = $1 order by at", job.id)) do
    lines[i] = { line.message, line.fields and codec.decode(line.fields) }
  end
  return lines
end

describe("matrix.room_cleanup", function()
  it("tells what it would remove, and removes nothing", function()
    local room = server:room(server:user "ann", { name = "One" })
    worker()
    local result, job = run("room_cleanup", { rooms = { room } })
    local entry = { id = room, name = "One", why = "listed", members = 1 }
    assert.same({ dry_run = true, found = 1, rooms = { entry } }, result)
    assert.same({ "would delete", entry }, logs(job)[1])
    assert.is_true(server:has_room(room))
  end)

  it("removes rooms that are empty, listed or inactive, and no other", function()
    local ann = server:user "ann"
    local rooms = { kept = server:room(ann), used = server:room(ann), empty = server:room(ann),
      listed = server:room(ann), old = server:room(server.service) }
    server:leave(ann, rooms.empty)
    server:say(ann, rooms.used, "hello")
    server:say(server.service, rooms.old, "long ago", 1000000)
    worker { ["matrix.keep_rooms"] = rooms.kept }
    local result, job = run("room_cleanup", { dry_run = false, empty = true, inactive_days = 30,
      rooms = { rooms.listed, rooms.kept, "!unknown:example.org" } })
    assert.equal("completed", job.status, job.error)
    for name, id in pairs(rooms) do
      assert.equal(name == "kept" or name == "used", server:has_room(id), name)
    end
    assert.is_true(result.removed >= 3)
    assert.equal(2, result.evicted)
  end)

  it("evicts, keeps what was said, and lets nobody in again", function()
    local ann = server:user "ann"
    local room = server:room(ann, { preset = "public_chat" })
    worker()
    local result = run("room_cleanup",
      { dry_run = false, rooms = { room }, action = "evict", block = true })
    assert.same({ found = 1, removed = 1, evicted = 1 }, result)
    assert.is_true(server:has_room(room))
    assert.is_true(server:get(("/_synapse/admin/v1/rooms/%s/block"):format(room)).block)
  end)

  it("goes on behind what is done when its worker is killed", function()
    local ann, rooms = server:user "ann", {}
    for i = 1, 8 do
      rooms[i] = server:room(ann)
    end
    local first = worker(nil, QUICK_DEATH)
    local id = db:enqueue { "matrix.room_cleanup",
      args = codec.encode { dry_run = false, rooms = rooms } }
    db:wait_until("the second room is gone", [[select coalesce((select
      (value->>'next')::int > 2 from jobq.steps($1) where what = 'checkpoint'), false)]], id)
    first:kill()
    worker(nil, QUICK_DEATH)
    local result = codec.decode(db:wait_for(id, "completed").result)
    assert.same({ 8, 8 }, { result.found, result.removed })
    for _, room in ipairs(rooms) do
      assert.is_false(server:has_room(room))
    end
  end)

  it("wants to know which rooms, by their ids", function()
    worker()
    local _, job = run("room_cleanup", { dry_run = false })
    assert.same({ "failed", 1, "which rooms? expected rooms, empty or inactive_days" },
      { job.status, job.attempt, job.error })
    _, job = run("room_cleanup", { rooms = { "lobby" } })
    assert.same({ "failed", 1, "'lobby' is no id, expected one like !abc:example.org" },
      { job.status, job.attempt, job.error })
  end)
end)

---- user_export ----

--- What is in an archive: names, and a function that reads one.
local function unpack_archive(path)
  local to = root .. "/unpacked"
  files.make_dir(to)
  files.run { "tar", "-C", to, "--zstd", "-xf", path }
  local base = to .. "/" .. files.list(to)[1]
  return function(name) return files.read(base .. "/" .. name) end, base
end

local function check_manifest(read, base)
  local manifest = codec.decode(read "manifest.json")
  for _, file in ipairs(manifest.files) do
    local line = files.run { "sha256sum", base .. "/" .. file.path }
    assert.equal(file.sha256, line:match "%x+", file.path)
    assert.equal(file.bytes, uv.fs_stat(base .. "/" .. file.path).size)
  end
  return manifest
end

--- Bodies of what was said, from all pages of all rooms.
local function said(base)
  local list = {}
  for _, path in ipairs(files.glob(base .. "/rooms/*/messages-*.jsonl")) do
    for line in files.read(path):gmatch "[^\n]+" do
      local event = codec.decode(line)
      list[#list + 1] = event.type == "m.room.message" and event.content.body or nil
    end
  end
  return list
end

local function scratch()
  return files.glob(root .. "/exports/.export-*")[1]
end

describe("matrix.user_export", function()
  it("has profile, devices, rooms, own messages and media in one archive", function()
    local ann, bob = server:user "ann", server:user "bob"
    local room = server:room(ann, { name = "Öne", preset = "public_chat" })
    server:join(bob, room)
    for i = 1, 5 do
      server:say(ann, room, "ann " .. i)
      server:say(bob, room, "bob " .. i)
    end
    server:upload(ann, "some text", "text/plain", "a.txt")
    server:upload(ann, "a picture", "image/png", "b.png")
    worker { ["matrix.page"] = 3 }
    local result, job = run("user_export", { user = ann.id })
    assert.equal("completed", job.status, job.error)
    local read, base = unpack_archive(result.archive.path)
    local manifest = check_manifest(read, base)
    assert.same({ rooms = 1, messages = result.counts.messages, media = 2, missing = 0 },
      manifest.counts)
    assert.same({ "ann 1", "ann 2", "ann 3", "ann 4", "ann 5" }, said(base))
    assert.equal(ann.id, codec.decode(read "account.json").name)
    assert.equal(1, #codec.decode(read "devices.json").devices)
    assert.equal("Öne", codec.decode(read "rooms/00001/room.json").name)
    assert.equal("some text", files.read(files.glob(base .. "/media/*/*.txt")[1]))
    assert.same({ result.archive.path:match "[^/]+$" }, files.list(root .. "/exports"))
  end)

  it("has what others said, where that is wanted", function()
    local ann, bob = server:user "ann", server:user "bob"
    local room = server:room(ann, { preset = "public_chat" })
    server:join(bob, room)
    server:say(bob, room, "bob")
    worker()
    local result = run("user_export",
      { user = ann.id, messages = "all", archive = "ann.tar.zst" })
    assert.equal(root .. "/exports/ann.tar.zst", result.archive.path)
    assert.same({ "bob" }, said(select(2, unpack_archive(result.archive.path))))
  end)

  --- A job in the middle of its messages: Synapse stops answering.
  local function start_and_hold(ann)
    local room = server:room(ann)
    for i = 1, 40 do
      server:say(ann, room, "message " .. i)
    end
    local w = worker({ ["matrix.page"] = 1 }, QUICK_DEATH)
    local id = db:enqueue { "matrix.user_export", args = codec.encode { user = ann.id } }
    process.wait_until(function()
      return files.glob(root .. "/exports/.export-*/*/rooms/*/messages-00012.jsonl")[1]
    end, "the twelfth page")
    server.process:signal "sigstop"
    finally(function() server.process:signal "sigcont" end)
    return w, id
  end

  it("goes on where it was when its worker is killed", function()
    local w, id = start_and_hold(server:user "ann")
    w:kill()
    local first = files.glob(scratch() .. "/*/rooms/00001/messages-00009.jsonl")[1]
    files.write(first, codec.encode {
      type = "m.room.message", content = { body = "not asked for again" },
    } .. "\n")
    server.process:signal "sigcont"
    worker({ ["matrix.page"] = 1 }, QUICK_DEATH)
    local result = codec.decode(db:wait_for(id, "completed").result)
    local read, base = unpack_archive(result.archive.path)
    check_manifest(read, base)
    local list, times = said(base), {}
    for _, text in ipairs(list) do
      times[text] = (times[text] or 0) + 1
    end
    assert.equal(40, #list)
    assert.equal(1, times["not asked for again"])
    assert.equal(1, times["message 40"])
    assert.is_nil(scratch())
  end)

  it("leaves no archive when it is cancelled, and what it had made goes later", function()
    local ann = server:user "ann"
    local _, id = start_and_hold(ann)
    db:query("select jobq.cancel($1)", id)
    db:wait_for(id, "cancelled")
    server.process:signal "sigcont"
    local names = files.list(root .. "/exports")
    assert.equal(1, #names)
    assert.match("^%.export%-", names[1])
    local long_ago = os.time() - 8 * 86400
    assert(uv.fs_utime(scratch(), long_ago, long_ago))
    local result = run("user_export", { user = ann.id })
    assert.same({ result.archive.path:match "[^/]+$" }, files.list(root .. "/exports"))
  end)

  it("holds no large file in memory", function()
    local ann = server:user "ann"
    server:upload(ann, ("x"):rep(40 << 20), "application/octet-stream", "large.bin")
    local w = worker(nil, { executors = 1 })
    run("user_export", { user = server:user("nobody").id })
    local function peak()
      local status = files.read(("/proc/%d/status"):format(w:executors()[1]))
      return tonumber(status:match "VmHWM:%s*(%d+)")
    end
    local before = peak()
    local _, job = run("user_export", { user = ann.id })
    assert.equal("completed", job.status, job.error)
    assert.is_true(peak() - before < 20 << 10, ("%d KiB more"):format(peak() - before))
  end)

  it("refuses whom it does not know, and paths that lead out", function()
    worker()
    for _, case in ipairs {
      { { user = "ann" }, "'ann' is no id, expected one like @abc:example.org" },
      { { user = "@nobody:example.org" }, "http 404, M_NOT_FOUND: User not found" },
      { { user = "@ann:elsewhere.org" }, "http 400, M_UNKNOWN: Can only look up local users" },
      { { user = server.boss.id, archive = "../out.tar.zst" }, "'../out.tar.zst' is not below" },
    } do
      local _, job = run("user_export", case[1])
      assert.same({ "failed", 1 }, { job.status, job.attempt })
      assert.match(case[2], job.error, 1, true)
    end
    assert.same({}, files.list(root .. "/exports"))
    assert.same({ "exports" }, files.list(root))
  end)

  it("leaves no archive on a full disk, and goes on when there is room", function()
    local exports = root .. "/exports"
    files.make_dir(exports)
    if not pcall(files.run, { "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", exports }) then
      pending "only root can mount a small disk"
      return
    end
    finally(function() files.run { "umount", "-l", exports } end)
    local ann = server:user "ann"
    server:upload(ann, ("x"):rep(4 << 20), "application/octet-stream", "large.bin")
    local w = worker()
    local _, job = run("user_export", { user = ann.id }, { max_attempts = 1 })
    assert.match("no space left on device", job.error, 1, true)
    assert.same({}, files.glob(exports .. "/.export-*/*/media/*/*"))
    files.run { "mount", "-o", "remount,size=40m", exports }
    db:query("select jobq.retry($1::bigint)", job.id)
    local result = codec.decode(db:wait_for(job.id, "completed").result)
    assert.same({ result.archive.path:match "[^/]+$" }, files.list(exports))
    w:stop()
  end)
end)

---- profile_sync ----
describe("matrix.profile_sync", function()
  local PNG = "\x89PNG\r\n\x1a\n and the rest"

  local function people(rows)
    db:query "delete from app.users"
    for i, row in ipairs(rows) do
      db:query("insert into app.users (email, name, avatar, matrix_id) values ($1, $2, $3, $4)",
        i .. "@example.org", row[2], row[3], row[1])
    end
  end

  it("sets names and avatars, only where they differ", function()
    local ann, bob = server:user "ann", server:user "bob"
    files.write(root .. "/ann.png", PNG)
    people { { ann.id, "Ann Ärmel", "ann.png" }, { bob.id, bob.id:match "@(%w+)" } }
    worker { ["matrix.page"] = 1 }
    local counts = { checked = 2, changed = 1, same = 1, missing = 0, refused = 0 }
    assert.same(counts, (run("profile_sync", { dry_run = false })))
    local account = server:account(ann)
    assert.equal("Ann Ärmel", account.displayname)
    local id = account.avatar_url:match "^mxc://example.org/(.+)$"
    assert.equal("image/png",
      server:get("/_synapse/admin/v1/media/example.org/" .. id).media_info.media_type)
    counts.changed, counts.same = 0, 2
    assert.same(counts, (run("profile_sync", { dry_run = false })))
    assert.equal(account.avatar_url, server:account(ann).avatar_url)
  end)

  it("tells what differs, when it is only to tell", function()
    local ann = server:user "ann"
    people { { ann.id, "Ann Ärmel" } }
    worker()
    local result, job = run("profile_sync", { dry_run = true })
    assert.same({ 1, { "changed " .. ann.id, { changed = { "name" } } } },
      { result.changed, logs(job)[1] })
    assert.not_equal("Ann Ärmel", server:account(ann).displayname)
  end)

  it("leaves out whom it cannot help, and says why", function()
    local ann, bob = server:user "ann", server:user "bob"
    files.write(root .. "/text.png", "no image")
    people { { ann.id, "Ann", "text.png" }, { bob.id, "Bob", "missing.png" },
      { "@nobody:example.org", "No" }, { "@z:elsewhere.org", "Z" } }
    worker()
    local result, job = run("profile_sync", { dry_run = false })
    assert.same({ checked = 4, changed = 0, same = 0, missing = 1, refused = 3 }, result)
    assert.same({ "refused " .. ann.id,
      { changed = { "name" }, why = "text.png: expected a PNG, JPEG, GIF or WebP" } }, logs(job)[1])
    assert.equal("Ann", server:account(ann).displayname)
    local _, status = server:get "/_synapse/admin/v2/users/@nobody:example.org"
    assert.equal(404, status)
  end)

  it("syncs only those that are named", function()
    local ann, bob = server:user "ann", server:user "bob"
    people { { ann.id, "Ann" }, { bob.id, "Bob" } }
    worker()
    assert.equal(1, run("profile_sync", { users = { bob.id } }).checked)
    assert.equal("Bob", server:account(bob).displayname)
    assert.not_equal("Ann", server:account(ann).displayname)
  end)

  it("waits as long as the homeserver wants it to", function()
    local ann = server:user "ann"
    server:limit(ann)
    files.write(root .. "/ann.png", PNG)
    people { { ann.id, "Ann", "ann.png" } } -- two changes
    worker()
    local result, job = run("profile_sync", { dry_run = false })
    assert.same({ 1, 1, "completed" }, { result.changed, job.attempt, job.status })
    local took = db:value([[select extract(epoch from finished_at - started_at)::float8
      from jobq.attempts($1::bigint)]], job.id)
    assert.is_true(took > 0.9, took .. " s")
  end)

  it("does not try again with a statement that cannot run", function()
    worker { ["matrix.people"] = "select * from app.nobody" }
    local _, job = run("profile_sync", { dry_run = false })
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.match('matrix.people: relation "app.nobody" does not exist', job.error, 1, true)
  end)
end)

describe("a homeserver", function()
  local KINDS = {
    room_cleanup = { empty = true }, user_export = { user = "@boss:example.org" },
    profile_sync = { dry_run = false },
  }

  it("that refuses the token ends the job at once, and nobody gets to know the token", function()
    local w = worker { ["matrix.token"] = "syt_wrong_token" }
    for kind, args in pairs(KINDS) do
      local _, job = run(kind, args)
      assert.same({ "failed", 1 }, { job.status, job.attempt })
      assert.match("http 401, M_UNKNOWN_TOKEN", job.error, 1, true)
      assert.match("hint: matrix.token has to be the access token of an administrator", job.error)
      assert.is_nil(job.error:find "syt_")
    end
    assert.is_nil(w:errors():find "syt_")
    assert.equal(0, db:value "select count(*)::int from jobq.log where fields::text like '%syt_%'")
  end)

  it("that knows us as a mere user does, too", function()
    worker { ["matrix.token"] = server:user("mere").token }
    local _, job = run("room_cleanup", { empty = true })
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.match("http 403, M_FORBIDDEN: You are not a server admin", job.error, 1, true)
  end)

  it("that is down is asked again", function()
    worker { ["matrix.homeserver"] = "http://127.0.0.1:9" }
    for kind, args in pairs(KINDS) do
      local id = db:enqueue { "matrix." .. kind, args = codec.encode(args) }
      db:wait_until("a failed attempt",
        "select exists (select from jobq.attempts($1::bigint) where outcome is not null)", id)
      local job = db:job(id)
      assert.equal("pending", job.status)
      assert.match("homeserver http://127.0.0.1:9: ", db:value(
        "select error from jobq.attempts($1::bigint)", id), 1, true)
    end
  end)
end)
