local engine = require "support.engine"

local MAIL = [[
return {
  send = {
    summary = "send one mail",
    queue = "email", timeout = 30, max_attempts = 7, priority = 2,
    args = { to = "email[]", subject = "string", count = "integer?" },
    run = function() end,
  },
  digest = { queue = "bulk", run = function() end },
}
]]

local FILE = "return { run = function() end }"

describe("kinds", function()
  local db

  before_each(function()
    db = engine.database()
  end)

  local function start(options)
    options = options or {}
    options.executors = 1
    return engine.worker(db, { ["email.lua"] = MAIL, ["file.lua"] = FILE }, options)
  end

  local function stats_of(kind)
    local answer = engine.jobq(db, "stats --json")
    for _, item in ipairs(answer.json.items) do
      if item.kind == kind then
        return item
      end
    end
  end

  it("are published with what the handlers say of them", function()
    local w = start()
    local kind = db:row [[
      select k.summary, k.max_attempts, k.priority, k.timeout_s, q.name as queue, k.source,
        k.schema ->> 'type' as type
      from jobq.kind k join jobq.queue q on q.id = k.queue_id where k.name = 'email.send']]
    assert.equal("send one mail", kind.summary)
    assert.equal("email", kind.queue)
    assert.same({ 7, 2, 30.0 }, { kind.max_attempts, kind.priority, kind.timeout_s })
    assert.match("email.lua:%d+$", kind.source)
    assert.equal("object", kind.type)
    assert.equal(0, w:stop())
  end)

  it("give their options to jobs that were enqueued by SQL without any", function()
    local w = start { queues = "nothing" }
    local job = db:job(db:enqueue { "email.send" })
    assert.same({ "email", 2, 7 }, { job.queue, job.priority, job.max_attempts })
    assert.equal(0, w:stop())
  end)

  it("that nobody runs stay pending, and stats says so", function()
    local w = start()
    local strange = db:enqueue { "fax.send" }
    local known = db:enqueue { "file" }
    db:wait_for(known, "completed")
    assert.equal("pending", db:job(strange).status)
    assert.is_false(stats_of("fax.send").known)
    assert.is_true(stats_of("file").known)
    assert.match("fax.send [^\n]*nobody", engine.jobq(db, "stats").out)
    assert.equal(0, w:stop())
  end)

  it("that were enqueued before anybody knew them run when somebody does", function()
    local mail = db:enqueue { "email.send", args = '{"to": ["a@b.org"], "subject": "hi"}' }
    local file = db:enqueue { "file", queue = "odd" }
    local w = start()
    assert.equal("email", db:wait_for(mail, "completed").queue)
    assert.equal("odd", db:wait_for(file, "completed").queue)
    assert.equal(0, w:stop())
  end)

  it("outside of --kinds are left alone", function()
    local w = start { kinds = "email.*,!email.digest" }
    local digest = db:enqueue { "email.digest" }
    local file = db:enqueue { "file" }
    local mail = db:enqueue { "email.send", args = '{"to": [], "subject": "hi"}', priority = 9 }
    db:wait_for(mail, "completed")
    assert.equal("pending", db:job(digest).status)
    assert.equal("pending", db:job(file).status)
    assert.equal(0, w:stop())
  end)

  it("outside of --queues are left alone", function()
    local w = start { queues = "bulk,default" }
    local mail = db:enqueue { "email.send", args = '{"to": [], "subject": "hi"}' }
    db:wait_for(db:enqueue { "email.digest" }, "completed")
    db:wait_for(db:enqueue { "file" }, "completed")
    assert.equal("pending", db:job(mail).status)
    assert.equal(0, w:stop())
  end)

  it("refuse arguments that miss their schema, naming each field, without retry", function()
    local w = start()
    local id = db:enqueue {
      "email.send", args = '{"to": ["a@b.org", "ann"], "subjct": "hi", "count": 1.5}',
    }
    local job = db:wait_for(id, "failed")
    assert.equal(1, job.attempt)
    for _, part in ipairs { "args.to%[2%]", "'ann' is not an email", "args.subjct", "args.subject",
      "args.count" } do
      assert.match(part, job.error)
    end
    assert.match("did you mean 'subject'", job.error)
    assert.equal(0, w:stop())
  end)
end)
