--- The admin command in a spec, as somebody types it.
--
--     local jobq = require "support.jobq"
--     local answer = jobq(db, "jobs --status failed --json")
--     assert.equal(0, answer.status)
--     assert.equal("email.send", answer.json.items[1].kind)    -- also .out, .err, .error (JSON)
--     jobq(db, { "enqueue", "email.send", '{"to": "ann"}' })   -- where a word holds blanks
--
-- db may be nil: then no database is named. Options: env, stdin, cwd.
local uv = require "luv"
local codec = require("jobq.core").json
local process = require "support.process"
local build = require "support.build"

local SCRIPTS = uv.cwd() .. "/scripts/admin" -- also for a build that lies elsewhere

local function words_of(command)
  if type(command) == "table" then
    return table.move(command, 1, #command, 1, {})
  end
  local words = {}
  for word in command:gmatch "%S+" do
    table.insert(words, (word:gsub("^'(.*)'$", "%1")))
  end
  return words
end

local function decode(text)
  return text:find "^%s*{" and codec.decode(text) or nil
end

return function(db, command, options)
  options = options or {}
  local words = words_of(command)
  table.insert(words, 1, build.program "jobq")
  words.env = options.env or {}
  words.env.JOBQ_ADMIN_SCRIPTS = SCRIPTS
  words.stdin, words.cwd = options.stdin, options.cwd
  if db then
    words.env.JOBQ_DSN = db.admin_dsn or db.dsn
  end
  local p = process.start(words)
  local answer = { status = p:wait(), out = p:output(), err = p:errors() }
  answer.json = decode(answer.out)
  answer.error = (decode(answer.err) or {}).error
  return answer
end
