local engine = require "support.engine"
local smtp_server = require "support.smtp_server"
local uv = require "luv"

local codec = require("jobq.core").json

describe("jobq.smtp in a worker", function()
  local texts = { ["mail.lua"] = [[
    local jobq = require "jobq"
    return {
      run = function(job)
        local sent, why, code = jobq.smtp.send {
          to = "ann@example.org", text = "x", port = job.args.port, idle = 300,
        }
        return sent ~= nil, why, code
      end,
    }]] }

  it("keeps its connection between jobs, but not the worker at its end", function()
    local db = engine.database()
    local server = smtp_server.start("--wire", "good")
    for _ = 1, 2 do
      db:enqueue { "mail", args = codec.encode { port = server.port } }
    end
    local start = uv.hrtime()
    local w = engine.worker(db, texts, { executors = 1, concurrency = 1, drain = true })
    assert.equal(0, w:wait())
    assert.is_true(uv.hrtime() - start < 60e9)
    local mails = 0
    repeat
      local told = server:next()
      mails = mails + (told.mail and 1 or 0)
      assert.equal(1, told.connection)
    until told.over
    assert.equal(2, mails)
  end)
end)
