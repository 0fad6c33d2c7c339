local uv = require "luv"
local build = require "support.build"
local engine = require "support.engine"

local MAIL = [[
local jobq = require "jobq"
return {
  send = {
    max_attempts = 1,
    args = {
      to = "email[]", subject = { "string", min = 1, max = 10 },
      token = { "string?", secret = true },
      size = { "integer?", min = 1, max = 9 }, color = { "string?", enum = { "red", "blue" } },
      customer = { "object?", fields = { id = "integer", zip = "string?" } },
      at = "timestamp?", every = "duration?", site = "url?", key = "uuid?", list = "string[]?",
      more = "any?", on = "boolean?",
    },
    run = function(job)
      if job.args.subject == "bad" then
        error "smtp 421"
      end
      return jobq.done { sent = #job.args.to }
    end,
  },
  free = { run = function() end },
}
]]

local GOOD = '{"to": ["ann@example.org"], "subject": "hi"}'

describe("jobq", function()
  local db, w

  before_each(function()
    db = engine.database()
    w = engine.worker(db, { ["mail.lua"] = MAIL }, { executors = 1, queues = "default" })
    db:wait_until("its kinds are there", "select count(*) = 2 from jobq.kind")
  end)

  after_each(function()
    assert.equal(0, w:stop())
  end)

  local function jobq(command, options)
    return engine.jobq(db, command, options)
  end

  local function ok(command, options)
    local answer = jobq(command, options)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  describe("enqueue", function()
    it("takes what the handler takes", function()
      ok { "enqueue", "mail.send", GOOD }
      ok { "enqueue", "mail.send", [[{"to": [], "subject": "ä23456789ö", "size": 9, "color": "red",
        "customer": {"id": 4, "zip": "01"}, "at": "2026-01-31T14:02:11Z", "every": "5m",
        "site": "https://x.org", "key": "123e4567-e89b-12d3-a456-426614174000", "list": ["a"],
        "more": null, "on": false, "token": null}]] }
      ok { "enqueue", "mail.free", '{"whatever": 1}' }
      ok { "enqueue", "not.known", '{"whatever": 1}' }
    end)

    -- The checks of the worker, by another reader: both must say the same of the same arguments.
    for args, expected in pairs {
      ['{"to": ["ann@example.org", "ann"], "subjct": "x", "subject": "y"}'] =
        "args.subjct: unknown field; args.to[2]: 'ann' is not an email",
      ['{"subject": null}'] = "args.subject: null is not a string; args.to: missing",
      ['{"to": [], "subject": ""}'] = "args.subject: '' is less than 1 characters",
      ['{"to": [], "subject": "12345678901"}'] =
        "args.subject: '12345678901' is more than 10 characters",
      ['{"to": [], "subject": "x", "size": 12}'] = "args.size: '12' is more than 9",
      ['{"to": [], "subject": "x", "size": 1.5}'] = "args.size: '1.5' is not an integer",
      ['{"to": [], "subject": "x", "color": "green"}'] =
        "args.color: 'green' is not one of red, blue",
      ['{"to": [], "subject": "x", "token": 5}'] = "args.token: *** is not a string",
      ['{"to": [], "subject": "x", "customer": {"id": "a"}}'] =
        "args.customer.id: 'a' is not an integer",
      ['{"to": {"a": 1}, "subject": "x"}'] = "args.to: an object is not an array",
      ['{"to": [], "subject": "x", "every": "soon"}'] =
        "args.every: 'soon' is not a duration (500ms, 10s, 5m, 2h or a number of seconds)",
      ['{"to": [], "subject": "x", "at": "now"}'] =
        "args.at: 'now' is not a timestamp (like 2026-01-31T14:02:11Z)",
    } do
      it("refuses as the worker would: " .. expected, function()
        local answer = jobq { "enqueue", "mail.send", args }
        assert.same({ 2, "" }, { answer.status, answer.out })
        assert.equal("jobq: mail.send: " .. expected, answer.err:match "^[^\n]*")
        assert.equal(0, db:value "select count(*) from jobq.job")
        local job = db:wait_for(db:enqueue { "mail.send", args = args }, "failed")
        local said = job.error:match "mail%.send: ([^\n]*)"
        for problem in expected:gmatch "[^;]+" do
          assert.is_truthy(said:find(problem:match "^%s*(.*)$", 1, true), said)
        end
      end)
    end

    it("suggests the field that was meant", function()
      assert.match("\nhint: did you mean 'subject'%?$",
        jobq({ "enqueue", "mail.send", '{"to": [], "subjct": "x"}' }).err)
    end)

    it("waits for the end, and its exit status is the job's", function()
      assert.match('^1\ncompleted after .*\n{"sent":1}$',
        ok({ "enqueue", "mail.send", GOOD, "--wait" }).out)
      local job = ok({ "enqueue", "mail.send", GOOD, "--wait=30s", "--json" }).json
      assert.same({ "2", "completed", 1 }, { job.id, job.status, job.result.sent })
      local answer = jobq { "enqueue", "mail.send", '{"to": [], "subject": "bad"}', "--wait" }
      assert.same({ 1, "3" }, { answer.status, answer.out })
      assert.match("^jobq: job 3 failed: .*smtp 421\nhint: jobq job 3 %-%-traceback$", answer.err)
    end)

    it("does not wait longer than it was told", function()
      local answer = jobq { "enqueue", "not.known", "--wait=100ms" }
      assert.same({ 1, "1" }, { answer.status, answer.out })
      assert.equal("jobq: after 100 ms job 1 is still pending\nhint: jobq why 1", answer.err)
    end)
  end)

  describe("edit", function()
    local function waiting(args)
      return db:enqueue { "mail.send", args = args or GOOD, delay = "1 hour" }
    end

    it("sets arguments: JSON, or a text where one is meant", function()
      local id = waiting()
      local out = ok { "edit", "1", "--set", "subject=42", "--set=size=7", "--set",
        'customer={"id": 4}', "--set", "customer.zip=01234", "--set", "to.0=bob@example.org",
        "--set", "to.1=eve@example.org" }.out
      assert.match("^job 1 is pending, priority 5, in 59m\nargs  {.*\nwere  {", out)
      assert.equal('{"to": ["bob@example.org", "eve@example.org"], "size": 7, "subject": "42", ' ..
        '"customer": {"id": 4, "zip": "01234"}}', db:job(id).args)
    end)

    it("sets priority and time", function()
      waiting()
      local job = ok("edit 1 --priority 0 --at 10m --json").json
      assert.equal(0, job.priority)
      assert.is_true(db:value
        "select run_at between now() + '9 min' and now() + '11 min' from jobq.find(1)")
      ok "edit 1 --at 2042-02-03T04:05:06Z"
      assert.equal("2042-02-03T04:05:06.000000Z", ok("job 1 --json").json.run_at)
    end)

    it("mends a failed job, which then runs", function()
      db:wait_for(db:enqueue { "mail.send", args = '{"to": [], "subject": "bad"}' }, "failed")
      local answer = jobq "edit 1 --set subject=good"
      assert.equal("jobq: jobq retry 1 runs it", answer.err)
      ok "retry 1"
      db:wait_for(1, "completed")
    end)

    for words, expected in pairs {
      ["edit 1 --set to.0=bob"] = "^jobq: mail.send: args.to%[1%]: 'bob' is not an email$",
      ["edit 1 --set subjct=x"] = "unknown field\nhint: did you mean 'subject'%?$",
      ["edit 1 --set customer.id=4"] = "there is no place for 'customer.id'",
      ["edit 1 --set subject"] = "'subject' is not of the form name=value",
      ["edit 1 --priority 10"] = "'10' is not an integer from 0 to 9",
      ["edit 1 --at soon"] = "'soon' is neither a duration nor a time",
      ["edit 1"] = "nothing to change is given, and stdin is no terminal",
    } do
      it("refuses, and changes nothing: " .. words, function()
        local id = waiting()
        local answer = jobq(words)
        assert.same({ 2, "" }, { answer.status, answer.out })
        assert.match(expected, answer.err)
        assert.equal(GOOD, db:job(id).args)
      end)
    end

    it("knows jobs that are over, or not there", function()
      db:wait_for(db:enqueue { "mail.send", args = GOOD }, "completed")
      local answer = jobq "edit 1 --priority 1"
      assert.same({ 5, "jobq: job 1 is completed, expected pending, failed or cancelled" },
        { answer.status, answer.err })
      assert.equal(3, jobq("edit 7 --priority 1").status)
    end)

    local function in_editor(editor)
      local p = engine.process.start {
        "script", "-qec", build.program "jobq" .. " edit 1", "/dev/null",
        env = {
          JOBQ_DSN = db.dsn, JOBQ_ADMIN_SCRIPTS = uv.cwd() .. "/scripts/admin", TERM = "xterm",
          EDITOR = editor,
        },
      }
      return p:wait(), p:output():gsub("\r", "")
    end

    it("opens the arguments in an editor", function()
      waiting()
      assert.equal(0, (in_editor "sed -i s/hi/you/"))
      assert.match('"subject": "you"', db:job(1).args)
    end)

    it("keeps what was written if it cannot be used", function()
      waiting()
      local status, out = in_editor "sed -i s/ann@example.org/ann/"
      assert.equal(2, status)
      assert.match("args.to%[1%]: 'ann' is not an email", out)
      local path = out:match "what you wrote is in (%S+)"
      assert.is_truthy(io.open(path)):close()
      os.remove(path)
      status, out = in_editor "sed -i s/}//"
      assert.equal(2, status)
      os.remove(out:match "what you wrote is in (%S+)")
      status, out = in_editor "false"
      assert.equal(1, status)
      os.remove(out:match "what you wrote is in (%S+)")
      assert.equal(GOOD, db:job(1).args)
    end)

    it("does nothing if the job changed meanwhile", function()
      waiting()
      local status, out = in_editor(([[sh -c 'psql -qX "$JOBQ_DSN" -c \
        "update jobq.ready set args = json_build_object()" && sed -i s/hi/you/ "$0"']]))
      assert.equal(5, status)
      assert.match("job 1 changed meanwhile", out)
      assert.equal("{}", db:job(1).args)
    end)
  end)
end)
