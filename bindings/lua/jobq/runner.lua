--- From a job to its verdict: what the coroutine of a run executes. Nothing that is returned from
--- main means done; else it is verdict, error, delay in seconds (nil: the default).
local core = require "jobq.core"
local job = require "jobq.job"
local must = require "jobq.must"
local verdict = require "jobq.verdict"

local M = {}

local FAILED, DISCARDED, SNOOZED = 1, 2, 3 -- enum verdict in core/job/outcome.h
local NO_VERDICT = "run returned %s, which is no verdict: the job counts as completed"

local xpcall, traceback, begin = xpcall, core.task.traceback, core.begin

--- Seconds before the next attempt as the handler wants it. A mistake in there is only logged:
--- the error of the run itself matters more.
local function retry_delay(handler, attempt)
  local delay = handler.retry_delay
  if type(delay) == "function" then
    local ok, seconds = pcall(delay, attempt)
    if not ok or type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
      local problem = ok and "'" .. tostring(seconds) .. "' is not a number of seconds" or seconds
      job.log:warn("retry_delay: " .. core.task.explain(problem))
      return nil
    end
    return seconds
  end
  return delay
end

local function failed(handler, attempt, message, delay)
  return FAILED, message, delay or retry_delay(handler, attempt)
end

local conclusions = {}

function conclusions.done(v)
  local ok, why = true, nil
  if v.result ~= nil then
    ok, why = core.run.keep_result(v.result)
  end
  if not ok then
    job.log:warn("the result was dropped: " .. why)
  end
end

function conclusions.retry(v, handler, attempt)
  return failed(handler, attempt, v.why, v.seconds)
end

function conclusions.snooze(v)
  return SNOOZED, nil, v.seconds
end

function conclusions.discard(v)
  return DISCARDED, v.why
end

--- nil or false with a message is a failure, as everywhere in Lua; a plain nil is not.
local function explain_failure(message, code)
  local text = core.task.explain(message)
  return type(code) == "string" and ("%s (%s)"):format(text, code) or text
end

local function show(value)
  return value == false and "false" or "a " .. type(value)
end

local function conclude(handler, attempt, value, message, code)
  if value == true or value == nil and message == nil then
    return -- done
  end
  if verdict.is(value) then
    return conclusions[value.verdict](value, handler, attempt)
  end
  if not value and message ~= nil then
    return failed(handler, attempt, explain_failure(message, code))
  end
  job.log:warn(NO_VERDICT:format(show(value)))
end

--- Not a tail call: run should have its name in tracebacks.
local function perform(handler, this)
  if handler.check then
    local args, problems = handler.check(this.args)
    if not args then
      return verdict.discard(problems)
    end
    rawset(this, "args", args)
  end
  local value, message, code = handler.run(this)
  return value, message, code
end

--- A message handler. A permanent failure stays a table: { text }; a verdict stays one.
local function explain_error(value)
  if verdict.is(value) then
    return value
  end
  local text = traceback(value)
  return must.is_permanent(value) and { text } or text
end

--- The raw reads are safe: both fields are there from the start.
function M.main(handler)
  local this = begin()
  local attempt = this.attempt
  local ok, value, message, code = xpcall(perform, explain_error, handler, this)
  if ok or verdict.is(value) then
    return conclude(handler, attempt, value, message, code)
  elseif type(value) == "table" then
    return DISCARDED, value[1]
  end
  return failed(handler, attempt, value)
end

return M
