local engine = require "support.engine"
local http_server = require "support.http_server"

local codec = require("jobq.core").json

describe("jobq.http in a worker", function()
  local db, server
  local texts = { ["web.lua"] = [[
    local jobq = require "jobq"
    return {
      post = {
        run = function(job)
          local reply = assert(jobq.http.post(job.args.url, {
            json = job.args, idempotency_key = true, timeout = 20,
          }))
          if job.attempt == 1 then
            error "once more"
          end
          return jobq.done { status = reply.status }
        end,
        retry_delay = 0,
      },
      get = { run = function(job) return jobq.http.get(job.args.url) end },
    }]] }

  before_each(function()
    db = engine.database()
    server = http_server.start()
  end)

  local function enqueue(kind, path)
    return db:enqueue { kind, args = codec.encode { url = server.url .. path } }
  end

  local function key_of(told)
    for _, pair in ipairs(told.headers) do
      if pair[1] == "Idempotency-Key" then
        return pair[2]
      end
    end
  end

  it("sends the same key with each attempt, and another one for another job", function()
    local w = engine.worker(db, texts, { executors = 1, set = "http.allow_private=true" })
    db:wait_for(enqueue("web.post", "/"), "completed")
    db:wait_for(enqueue("web.post", "/"), "completed")
    local told = { server:next(), server:next(), server:next(), server:next() }
    assert.matches("^jobq%-%d+%-%x+$", key_of(told[1]))
    assert.equal(key_of(told[1]), key_of(told[2]))
    assert.equal(key_of(told[3]), key_of(told[4]))
    assert.not_equal(key_of(told[1]), key_of(told[3]))
    for i = 1, 4 do
      assert.equal(1, told[i].connection) -- all jobs of an executor share it
    end
    assert.equal(0, w:stop())
  end)

  it("reaches nothing private unless it may", function()
    local w = engine.worker(db, texts, { executors = 1 })
    local id = db:enqueue { "web.get", args = codec.encode { url = server.url }, max_attempts = 1 }
    local job = db:wait_for(id, "failed")
    assert.matches("127.0.0.1 is no public address", job.error, 1, true)
    assert.matches("(private_address)", job.error, 1, true)
    assert.equal(0, w:stop())
  end)

  it("drops a request at once when its job is cancelled", function()
    local w = engine.worker(db, texts, { executors = 1, set = "http.allow_private=true" })
    local id = enqueue("web.get", "/drip")
    assert.equal("/drip", server:next().path)
    db:query("select jobq.cancel($1::bigint)", id)
    db:wait_for(id, "cancelled")
    assert.equal(1, server:wait_closed().closed)
    assert.equal(0, w:stop())
  end)
end)
