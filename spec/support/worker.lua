--- A real jobq-run in a spec.
--
--     local worker = require "support.worker"
--
--     local texts = { ["demo.lua"] = "return { ok = { run = function() end } }" }
--     local w = worker.start(db, texts, { concurrency = 1, poll_interval = "60s" })
--     w:expect "worker ready"                        -- waits for that line of its log; its fields
--     w:expect("job failed", { job_id = 7 })         -- passes over lines without these fields
--     assert.equal(0, w:stop())                      -- TERM, and its exit status
--     w:kill()                                       -- kill -9
--
-- Handlers are texts by file name, a folder of support/handlers.lua, or a path. Options are those
-- of jobq-run, with "_" for "-"; true for a switch; env: more variables; program: another one than
-- that of the build. The rest is in support/process.lua.
local build = require "support.build"
local handlers = require "support.handlers"
local process = require "support.process"

local M = {}

local Worker = setmetatable({}, { __index = process.Process })
Worker.__index = Worker

local NO_OPTIONS = { env = true, program = true }

local ESCAPES = { n = "\n", t = "\t", r = "\r" }

--- time=... level=warn msg="job failed" job_id=42, as a table of texts.
local function parse(line)
  local fields = {}
  local at = 1
  while at <= #line do
    local key, next_at = line:match("^%s*([%w_%.%-]+)=()", at)
    if not key then
      break
    end
    local value, after = line:match('^"([^"\\]*)"()', next_at)
    if not value and line:sub(next_at, next_at) == '"' then
      after = next_at + 1
      while line:sub(after, after) ~= '"' and after <= #line do
        after = after + (line:sub(after, after) == "\\" and 2 or 1)
      end
      value = line:sub(next_at + 1, after - 1):gsub("\\(.)", function(c) return ESCAPES[c] or c end)
      after = after + 1
    elseif not value then
      value, after = line:match("^(%S*)()", next_at)
    end
    fields[key] = value
    at = after
  end
  return fields
end

local function has(fields, wanted)
  for key, value in pairs(wanted or {}) do
    if fields[key] ~= tostring(value) then
      return false
    end
  end
  return true
end

local function words_of(options)
  local names = {}
  for name in pairs(options) do
    table.insert(names, not NO_OPTIONS[name] and name or nil)
  end
  table.sort(names)
  local words = {}
  for _, name in ipairs(names) do
    local option = "--" .. name:gsub("_", "-")
    local value = options[name]
    table.insert(words, value == true and option or ("%s=%s"):format(option, value))
  end
  return words
end

local function folder(given)
  if type(given) == "string" then
    return given
  end
  return (given.path and given or handlers(given)).path
end

--- The command line is all: words, and env.
function M.run(words)
  table.insert(words, 1, words.program or build.program "jobq-run")
  return setmetatable(process.start(words), Worker)
end

function M.start(db, given, options)
  options = options or {}
  local env = { JOBQ_DSN = db.worker_dsn or db.dsn, JOBQ_LOG_FORMAT = "logfmt" }
  for name, value in pairs(options.env or {}) do
    env[name] = value
  end
  local words = words_of(options)
  table.insert(words, folder(given))
  words.env, words.program = env, options.program
  return M.run(words)
end

--- Started and ready for jobs.
function M.ready(db, given, options)
  local self = M.start(db, given, options)
  self.ready = self:expect "worker ready"
  self.id = tonumber(self.ready.worker_id)
  return self
end

--- The fields of the next line with this message, and with these fields.
function Worker:expect(message, wanted)
  return self:wait_for_line(function(line)
    local fields = parse(line)
    return fields.msg == message and has(fields, wanted) and fields or nil
  end, ("the log line '%s'"):format(message))
end

--- TERM; its exit status.
function Worker:stop()
  self:signal "sigterm"
  return self:wait()
end

--- Pids of its Lua processes.
function Worker:executors()
  return self:children "%-%-executor"
end

return M
