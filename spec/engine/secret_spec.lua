--- What a handler reveals reaches nobody who reads logs, errors and results.
local engine = require "support.engine"
local handlers = require "support.handlers"

local TOKEN = 'hush "hush" \\ ß'

local TEXTS = {
  ["config.lua"] = "return { crm = { token = { 'string', secret = true } } }",
  ["leak.lua"] = [[
    local jobq = require "jobq"
    local function token()
      return jobq.config.crm.token:reveal()
    end
    return {
      log = { run = function(job)
        job.log:info("it is " .. token(), { token = token(), [token()] = 1 })
        job.log:info(token() .. token())
        return jobq.done { token = token(), list = { "x" .. token() .. "x" } }
      end },
      raise = { max_attempts = 1, run = function() error("not " .. token()) end },
      answer = { max_attempts = 1, run = function() return nil, "not " .. token(), token() end },
      complete = { run = function()
        return jobq.sql.transaction(function(tx) tx:complete { token = token() } end)
      end },
      progress = { run = function(job)
        job:progress(0.5, "at " .. token())
        jobq.sleep(3600)
      end },
    }]],
}

describe("a secret", function()
  local db, w

  before_each(function()
    db = engine.database()
    w = engine.worker(db, TEXTS, { executors = 1, set = "crm.token=" .. TOKEN })
  end)

  it("is in no log, error or result", function()
    local ids = {}
    for _, kind in ipairs { "log", "raise", "answer", "complete" } do
      ids[kind] = db:enqueue { "leak." .. kind }
    end
    local function one(column, kind, status)
      db:wait_for(ids[kind], status)
      return db:value(("select %s from jobq.job where id = $1"):format(column), ids[kind])
    end
    local shown = "<secret crm.token>"
    assert.equal("x" .. shown .. "x", one("result -> 'list' ->> 0", "log", "completed"))
    assert.equal(shown, one("result ->> 'token'", "complete", "completed"))
    assert.matches("not <secret crm.token>\nstack traceback", one("error", "raise", "failed"))
    assert.equal(("not %s (%s)"):format(shown, shown), one("error", "answer", "failed"))
    db:wait_until("both lines are there",
      "select count(*) = 2 from jobq.log where message ~ 'secret'")
    local lines = db:query "select message, fields::text as fields from jobq.log order by at"
    assert.equal("it is " .. shown, lines[1].message)
    assert.matches('"<secret crm.token>": "?1"?', lines[1].fields)
    assert.equal(shown .. shown, lines[2].message)
    assert.equal(0, w:stop())
    assert.is_nil((w:errors() .. w:output()):find("hush", 1, true))
  end)

  it("is in no progress", function()
    local id = db:enqueue { "leak.progress" }
    db:wait_until("it is told", "select count(*) = 1 from jobq.progress where message ~ 'secret'")
    assert.equal("at <secret crm.token>", db:value "select message from jobq.progress")
    db:query("select jobq.cancel($1::bigint)", id)
    assert.equal(0, w:stop())
  end)

  it("is in no message about handlers that do not load", function()
    local dir = handlers {
      ["config.lua"] = TEXTS["config.lua"],
      ["a.lua"] = "error('not ' .. require('jobq').config.crm.token:reveal())",
    }
    local p = engine.run { "--check", dir.path, "--set", "crm.token=" .. TOKEN }
    assert.equal(3, p:wait())
    assert.matches("not <secret crm.token>$", p:errors())
  end)
end)
