--- The notification handlers in real workers, against services that verify signatures and decrypt
--- with libraries that are not ours (http_ece, jws).
local codec = require("jobq.core").json
local engine = require "support.engine"
local families = require "support.families"
local files = require "support.files"
local push_server = require "support.push_server"
local uv = require "luv"

local QUICK_DEATH = { heartbeat_interval = "200ms", dead_after = "2s" }
local NOTE = {
  title = "Zoë & <Ås>", body = "said “hi”", topic = "comment", url = "https://example.org/posts/7",
  data = { post = 7 },
}

local function merge(...)
  local all = {}
  for _, values in ipairs { ... } do
    for name, value in pairs(values) do
      all[name] = value
    end
  end
  return all
end

describe("a notification", function()
  local db, server, dir

  setup(function()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
  end)

  teardown(function()
    files.remove(dir)
  end)

  before_each(function()
    db, server = families.database(), push_server.start(dir)
    db:query "delete from app.subscriptions"
    db:query "update app.users set quiet_from = null"
  end)

  local function worker(settings, options)
    return families.worker(db, merge(server.settings, settings or {}),
      merge({ executors = 1, concurrency = 1 }, options or {}))
  end

  local function enqueue(kind, args)
    return db:enqueue { kind, args = codec.encode(args) }
  end

  local function push(args)
    return families.run(db, "notification.push", merge(NOTE, { user = 1 }, args or {}))
  end

  local function seconds_left(id)
    return db:value("select extract(epoch from run_at - now())::float8 from jobq.find($1)", id)
  end

  --- Its error, when another attempt is to come, and the seconds until then.
  local function wait_for_retry(id)
    db:wait_until("it is to be tried again",
      "select status = 'pending' and attempt = 1 from jobq.find($1)", id)
    return db:value("select error from jobq.attempts($1)", id), seconds_left(id)
  end

  local function run_now(id)
    db:query("select jobq.edit($1, run_at => now())", id)
  end

  local function subscriptions()
    return db:value "select count(*) from app.subscriptions"
  end

  it("comes to a browser, encrypted, and is signed", function()
    worker()
    server:subscribe(db, 1, "webpush", "ann")
    local job = push { urgent = true, ttl = 60 }
    assert.same({ "completed", { sent = 1, gone = 0, refused = {} } }, { job.status, job.result })
    local got = server:next()
    assert.is_nil(got.problem)
    assert.same({ "webpush", "ann", "mailto:push@example.org", "60", "high", got.payload.tag },
      { got.channel, got.name, got.sub, got.ttl, got.urgency, got.topic })
    assert.equal(32, #got.topic)
    got.payload.tag = nil
    assert.same(NOTE, got.payload)
    assert.equal(0, server:count())
  end)

  it("is shortened to what a push service must take", function()
    worker()
    server:subscribe(db, 1, "webpush", "ann")
    push { body = ("日本語"):rep(1000) }
    local got = server:next()
    assert.is_true(got.size > 4080 and got.size <= 4096)
    assert.matches("^日本語.*…$", got.payload.body)
    assert.is_truthy(utf8.len(got.payload.body))
  end)

  it("comes to Android by FCM, with one token for many", function()
    worker()
    server:subscribe(db, 1, "fcm", "ann")
    push()
    push()
    local token, first, second = server:next(), server:next(), server:next()
    assert.same({ "token", "fcm", "fcm" }, { token.channel, first.channel, second.channel })
    assert.same({ title = NOTE.title, body = NOTE.body }, first.message.notification)
    assert.same({ topic = "comment", url = NOTE.url, post = "7" }, first.message.data)
    assert.same({ "ann", "NORMAL", "86400s" },
      { first.message.token, first.message.android.priority, first.message.android.ttl })
  end)

  it("asks for another token of FCM when that is refused", function()
    worker()
    server:subscribe(db, 1, "fcm", "stale")
    local id = enqueue("notification.push", merge(NOTE, { user = 1 }))
    assert.matches("^fcm: http 401: UNAUTHENTICATED", (wait_for_retry(id)))
    run_now(id)
    assert.equal("completed", db:wait_for(id, "completed").status)
    local channels = {}
    for i = 1, 4 do
      channels[i] = server:next().channel
    end
    assert.same({ "token", "fcm", "token", "fcm" }, channels)
  end)

  it("comes to Apple's devices over HTTP/2, with one token for many", function()
    worker()
    server:subscribe(db, 1, "apns", "ann")
    push()
    push { urgent = true }
    local first, second = server:next(), server:next()
    assert.is_nil(first.problem)
    assert.same({ "org.example.app", "alert", "5", "10" },
      { first.bundle, first.kind, first.priority, second.priority })
    assert.same({ title = NOTE.title, body = NOTE.body }, first.payload.aps.alert)
    assert.same({ NOTE.url, NOTE.data }, { first.payload.url, first.payload.data })
    assert.equal(first.jwt, second.jwt)
    assert.equal(32, #first.collapse)
  end)

  it("comes to ntfy, to webhooks, and into the application", function()
    worker()
    server:subscribe(db, 1, "ntfy", "ann-alerts")
    server:subscribe(db, 1, "webhook", "ann")
    local before = db:value "select count(*) from app.notifications where user_id = 1"
    for _ = 1, 2 do
      assert.same({ sent = 2, gone = 0, refused = {} }, push({ dedup_key = "comment 7" }).result)
    end
    local ntfy, hook = server:next(), server:next()
    assert.equal("msg_" .. ntfy.message.sequence_id, hook.id)
    ntfy.message.sequence_id = nil
    assert.same({
      topic = "ann-alerts", title = NOTE.title, message = NOTE.body, click = NOTE.url, priority = 3,
      tags = { "comment" },
    }, ntfy.message)
    assert.same({ "notification.comment", NOTE.title, 1 },
      { hook.payload.type, hook.payload.data.title, hook.payload.data.user })
    server:next()
    assert.equal(hook.id, server:next().id)
    assert.same({ before + 1, NOTE.body, "https://example.org/posts/7" }, {
      db:value "select count(*) from app.notifications where user_id = 1",
      db:value "select body from app.notifications where dedup_key = '1:comment 7'",
      db:value "select url from app.notifications where dedup_key = '1:comment 7'",
    })
  end)

  it("goes only where it is wanted, and where the caller says", function()
    worker()
    for _, channel in ipairs { "ntfy", "webhook", "webpush" } do
      server:subscribe(db, 1, channel, "ann")
    end
    db:query [[insert into app.preferences values (1, 'comment', 'webhook', false),
      (1, 'comment', 'app', false), (1, 'news', 'ntfy', false)]]
    local before = db:value "select count(*) from app.notifications"
    assert.equal(2, push().result.sent)
    assert.same({ "ntfy", "webpush" }, { server:next().channel, server:next().channel })
    assert.equal(before, db:value "select count(*) from app.notifications")
    assert.equal(1, push({ topic = "news", channels = { "ntfy", "webpush" } }).result.sent)
    assert.equal("webpush", server:next().channel)
    assert.equal(0, server:count())
  end)

  describe("in quiet hours", function()
    before_each(function()
      db:query [[update app.users set time_zone = 'Asia/Tokyo',
        quiet_from = (now() at time zone 'Asia/Tokyo' - interval '2 hours')::time,
        quiet_to = (now() at time zone 'Asia/Tokyo' + interval '3 hours')::time]]
      server:subscribe(db, 1, "ntfy", "ann")
      worker()
    end)

    it("waits for their end, and is in the application meanwhile", function()
      local id = enqueue("notification.push", merge(NOTE, { user = 1 }))
      db:wait_until("it is put off",
        "select status = 'pending' and run_at > now() + interval '1 hour' from jobq.find($1)", id)
      local left = seconds_left(id)
      assert.is_true(left > 10700 and left <= 10801, left)
      assert.same({ 0, 1 }, { db:job(id).attempt, db:value [[select count(*) from app.notifications
        where title = 'Zoë & <Ås>']] })
      db:query "update app.users set quiet_from = null"
      run_now(id)
      assert.equal(1, codec.decode(db:wait_for(id, "completed").result).sent)
      assert.equal(1, db:value "select count(*) from app.notifications where title = 'Zoë & <Ås>'")
    end)

    it("comes at once when it is urgent", function()
      assert.equal(1, push({ urgent = true }).result.sent)
    end)
  end)

  it("knows quiet hours over midnight, and over a change of the clock", function()
    local config = dofile "handlers/config.lua"
    local statement = config.notification.quiet.default
    -- zone, from, to, now, seconds left
    local cases = {
      { "Europe/London", "22:00", "07:00", "2026-01-10 23:00+00", 8 * 3600 },
      { "Europe/London", "22:00", "07:00", "2026-01-10 06:59:59.5+00", 1 },
      { "Europe/London", "22:00", "07:00", "2026-01-10 07:00+00", false },
      { "Europe/London", "22:00", "07:00", "2026-01-10 21:59+00", false },
      { "Asia/Tokyo", "21:30", "06:30", "2026-01-10 12:30+00", 9 * 3600 },
      { "Asia/Kolkata", "13:00", "14:00", "2026-01-10 07:45+00", 45 * 60 },
      { "Europe/Berlin", "22:00", "07:00", "2026-03-28 22:00+00", 7 * 3600 }, -- an hour is left out
      { "Europe/Berlin", "22:00", "07:00", "2026-10-24 20:00+00", 10 * 3600 }, -- one comes twice
      { "UTC", "08:00", "08:00", "2026-01-10 08:30+00", false },
    }
    for _, case in ipairs(cases) do
      db:query("update app.users set time_zone = $1, quiet_from = $2::time, quiet_to = $3::time",
        case[1], case[2], case[3])
      local at = ("'%s'::timestamptz"):format(case[4])
      local row = db:row((statement:gsub("now%(%)", at)), 1)
      assert.equal(case[5], row.seconds or false, table.concat(case, " ", 1, 4))
    end
  end)

  it("removes subscriptions that the services do not know any more", function()
    worker()
    for _, channel in ipairs { "webpush", "fcm", "apns", "webhook" } do
      server:subscribe(db, 1, channel, "gone")
    end
    server:subscribe(db, 1, "ntfy", "ann")
    local job = push()
    assert.same({ "completed", { sent = 1, gone = 4, refused = {} } }, { job.status, job.result })
    assert.equal(1, subscriptions())
  end)

  it("comes again when the service says, to those that did not get it", function()
    worker()
    server:subscribe(db, 1, "webpush", "busy")
    server:subscribe(db, 1, "ntfy", "ann")
    local id = enqueue("notification.push", merge(NOTE, { user = 1 }))
    local error_text, left = wait_for_retry(id)
    assert.matches("^webpush: http 429: slow down", error_text)
    assert.is_true(left > 3500 and left <= 3600, left)
    db:query("update app.subscriptions set address = $1 where channel = 'webpush'",
      server.url .. "/wp/ready")
    run_now(id)
    assert.same({ sent = 2, gone = 0, refused = {} },
      codec.decode(db:wait_for(id, "completed").result))
    local names = {}
    for i = 1, 3 do
      names[i] = server:next().name
    end
    assert.same({ "busy", "ann", "ready" }, names)
    assert.equal(0, server:count())
  end)

  it("understands a Retry-After that is a date", function()
    worker()
    server:subscribe(db, 1, "webhook", "dated")
    local _, left = wait_for_retry(enqueue("notification.push", merge(NOTE, { user = 1 })))
    assert.is_true(left > 7000 and left <= 7201, left)
  end)

  it("is tried again in half a minute when a service is away", function()
    worker()
    server:subscribe(db, 1, "webhook", "away")
    local error_text, left = wait_for_retry(enqueue("notification.push", merge(NOTE, { user = 1 })))
    assert.matches("^webhook: http 502: bad gateway", error_text)
    assert.is_true(left > 20 and left <= 30, left)
  end)

  it("is refused for good, says why, and completes if others got it", function()
    worker()
    server:subscribe(db, 1, "webhook", "refused")
    local job = push()
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.matches("^webhook: http 403: not for you", job.error)
    server:subscribe(db, 1, "ntfy", "ann")
    job = push()
    assert.same({ "completed", 1, 1 }, { job.status, job.result.sent, #job.result.refused })
    assert.matches("^webhook: http 403: not for you", job.result.refused[1])
    assert.equal(1, db:value("select count(*) from jobq.log where job_id = $1 and level = 'warn'",
      job.id))
  end)

  it("says what is wrong with settings and subscriptions, and is not tried again", function()
    local cases = {
      { "webpush", "ann", { p256dh = "x", auth = "y" }, "^webpush: the subscription's keys" },
      { "webhook", "ann", { secret = "hush" }, "^webhook: the subscription's secret is not" },
      { "apns", "ann", nil, "^apns: setting notification.apns_topic is not there\nhint: " },
      { "fcm", "ann", nil, "^fcm: setting notification.fcm_account is not the JSON file" },
      { "ntfy", "ann", nil, "^ntfy: http 400: the access token is wrong" },
    }
    files.write(dir .. "/wrong.json", "{}")
    server.settings["notification.apns_topic"] = nil
    worker {
      ["notification.fcm_account"] = "file:" .. dir .. "/wrong.json",
      ["notification.ntfy_token"] = "tk_wrong",
    }
    for _, case in ipairs(cases) do
      db:query "delete from app.subscriptions"
      server:subscribe(db, 1, case[1], case[2], case[3])
      local job = push()
      assert.same({ "failed", 1 }, { job.status, job.attempt })
      assert.matches(case[4], job.error)
    end
    local job = push { user = 77 }
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.matches("^there is no user 77", job.error)
  end)

  it("reaches no address that is not public, unless that is set", function()
    worker { ["http.allow_private"] = false }
    server:subscribe(db, 1, "webhook", "ann")
    local job = push()
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.matches("^webhook: .*127%.0%.0%.1", job.error)
    assert.equal(0, server:count())
  end)

  it("says which setting asks for a table that is not there", function()
    worker {
      ["notification.targets"] = "select * from nowhere where $1::bigint > 0 and $2::text = ''",
    }
    local job = push()
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.matches('^setting notification.targets: relation "nowhere" does not exist\nhint: ',
      job.error)
  end)

  it("stops when it is cancelled in the middle", function()
    worker()
    server:subscribe(db, 1, "ntfy", "hold")
    server:subscribe(db, 1, "webhook", "ann")
    local id = enqueue("notification.push", merge(NOTE, { user = 1 }))
    assert.equal("hold", server:next().name)
    db:query("select jobq.cancel($1)", id)
    db:wait_for(id, "cancelled")
    assert.equal(0, server:count())
  end)

  it("goes on after kill -9 with those that are not known to have it", function()
    local first = worker(nil, QUICK_DEATH)
    for _, name in ipairs { "one", "hold", "three" } do
      server:subscribe(db, 1, "webhook", name)
    end
    local id = enqueue("notification.push", merge(NOTE, { user = 1 }))
    assert.equal("one", server:next().name)
    local unclear = server:next()
    first:kill()
    worker(nil, QUICK_DEATH)
    local again = server:next()
    assert.same({ "hold", unclear.id, unclear.payload }, { again.name, again.id, again.payload })
    server:release()
    assert.equal(3, codec.decode(db:wait_for(id, "completed").result).sent)
    assert.equal("three", server:next().name)
    assert.equal(0, server:count())
    assert.equal(1, db:value "select count(*) from app.notifications where title = 'Zoë & <Ås>'")
  end)

  describe("to many", function()
    local function report()
      db:wait_until("the report is there", [[select count(*) = 1 from jobq.job
        where kind = 'notification.report' and status = 'completed']])
      return codec.decode(db:value "select result from jobq.job where kind = 'notification.report'")
    end

    before_each(function()
      worker()
      for user, name in ipairs { "ann", "refused", "chie", "dora" } do
        server:subscribe(db, user, "ntfy", name)
      end
    end)

    it("is one for each of the audience, and a report that knows who failed", function()
      local job = families.run(db, "notification.batch", merge(NOTE, { name = "news" }))
      assert.same({ "completed", { batch = 1, users = 4 } }, { job.status, job.result })
      assert.same({ batch = 1, name = "news", total = 4, sent = 3, failed = 1, cancelled = 0 },
        report())
      assert.equal(4, server:count())
    end)

    it("goes to those who are named, each once", function()
      local job = families.run(db, "notification.batch", merge(NOTE, { users = { 4, 1, 4, 77 } }))
      assert.equal(2, job.result.users)
      assert.equal(2, report().sent)
    end)

    it("stops when it is cancelled in the middle, and says so", function()
      db:query "update app.subscriptions set address = 'hold' where user_id = 1"
      families.run(db, "notification.batch", NOTE)
      assert.equal("hold", server:next().name)
      db:query "select jobq.cancel_batch(1)"
      assert.same({ 0, 4 }, { report().sent, report().cancelled })
      assert.equal(0, server:count())
    end)
  end)

  it("to many adds nobody when the audience cannot be asked", function()
    worker {
      ["notification.audience"] = "select id from nowhere "
        .. "where $1::text = '' and $2::bigint = $3::bigint and $4::bigint[] is null",
    }
    local job = families.run(db, "notification.batch", NOTE)
    assert.same({ "failed", 1 }, { job.status, job.attempt })
    assert.equal(0, db:value "select count(*) from jobq.batch_status")
  end)

  describe("of what has happened", function()
    local function untold(user)
      return db:value([[select count(*) from app.notifications
        where user_id = $1 and digested_at is null]], user)
    end

    it("is one, told once", function()
      worker()
      server:subscribe(db, 1, "ntfy", "ann")
      assert.same({ users = 1 }, families.run(db, "notification.digests", {}).result)
      local message = server:next().message
      assert.same({ "3 new for you", "Comment 1\nComment 2\nComment 3" },
        { message.title, message.message })
      db:wait_until("it is marked", [[select count(*) = 1 from jobq.job
        where kind = 'notification.digest' and status = 'completed']])
      assert.same({ 0, 3 }, { untold(1), untold(4) })
      assert.same({ items = 0 }, families.run(db, "notification.digest", { user = 1 }).result)
      assert.equal(0, server:count())
    end)

    it("that reaches nobody marks nothing", function()
      worker()
      server:subscribe(db, 1, "webhook", "gone")
      assert.same({ sent = 0, gone = 1, refused = {}, items = 0 },
        families.run(db, "notification.digest", { user = 1 }).result)
      assert.equal(3, untold(1))
    end)

    it("tells the same after kill -9, and marks no more than it told", function()
      local first = worker(nil, QUICK_DEATH)
      server:subscribe(db, 1, "webhook", "hold")
      local id = enqueue("notification.digest", { user = 1 })
      local unclear = server:next()
      first:kill()
      db:query "insert into app.notifications (user_id, topic, title) values (1, 'comment', 'New')"
      worker(nil, QUICK_DEATH)
      local again = server:next()
      assert.same({ unclear.id, unclear.payload }, { again.id, again.payload })
      server:release()
      assert.equal(3, codec.decode(db:wait_for(id, "completed").result).items)
      assert.equal(1, untold(1)) -- the new one is for the next
    end)
  end)
end)

describe("jobq vapid", function()
  local dir

  setup(function()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
  end)

  teardown(function()
    files.remove(dir)
  end)

  it("makes a key, and shows the public one of a file", function()
    local path = dir .. "/vapid.key"
    local first = engine.jobq(nil, { "vapid", path })
    assert.same({ 0, ("wrote %s; settings: notification.vapid_key=file:%s"):format(path, path) },
      { first.status, (first.err:gsub("^jobq: ", ""):gsub("\n$", "")) })
    local public = first.out:match "^public   (B[%w_-]+)%s*$"
    assert.equal(87, #public)
    assert.equal(384, uv.fs_stat(path).mode & 511) -- rw-------
    local json = codec.decode(engine.jobq(nil, { "vapid", path, "--json" }).out)
    assert.same({ public = public }, json)
    local both = engine.jobq(nil, { "vapid" }).out
    assert.matches("^private  [%w_-]+\npublic   B[%w_-]+%s*$", both)
  end)

  it("refuses a file that holds something else", function()
    files.write(dir .. "/letter", "dear Ann")
    local answer = engine.jobq(nil, { "vapid", dir .. "/letter" })
    assert.equal(1, answer.status)
    assert.matches("holds no key, expected 43 characters of base64url\nhint: ", answer.err)
    assert.equal("dear Ann", files.read(dir .. "/letter"))
  end)
end)
