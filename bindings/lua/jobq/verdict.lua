--- How a handler says that its job ended other than by returning or raising. Verdicts are values.
local M = {}

local Verdict = { __name = "jobq.verdict" }

local function verdict(kind, why, seconds)
  return setmetatable({ verdict = kind, why = why, seconds = seconds }, Verdict)
end

-- Messages have no position: after `return jobq.snooze(x)`, a tail call, Lua does not know it.
local function check_seconds(name, seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
    local text = "jobq.%s: '%s' is not a number of seconds"
    error(text:format(name, tostring(seconds)), 0)
  end
end

local function check_why(name, why)
  if type(why) ~= "string" then
    error(("jobq.%s: expected a text that says why, got %s"):format(name, type(why)), 0)
  end
end

function M.is(value)
  return getmetatable(value) == Verdict
end

function M.done(result)
  local v = verdict("done")
  v.result = result
  return v
end

function M.retry(why, seconds)
  check_why("retry", why)
  if seconds ~= nil then
    check_seconds("retry", seconds)
  end
  return verdict("retry", why, seconds)
end

function M.snooze(seconds)
  check_seconds("snooze", seconds)
  return verdict("snooze", nil, seconds)
end

function M.discard(why)
  check_why("discard", why)
  return verdict("discard", why)
end

return M
