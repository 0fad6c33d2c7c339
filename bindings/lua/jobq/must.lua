--- jobq.must: assert for what answers nil, message, code. It knows which codes no attempt can mend.
local core = require "jobq.core"
local smtp = require "jobq.smtp"

local M = {}

local Failure = { __name = "jobq.failure" }

function Failure.__tostring(failure)
  return core.task.explain { message = failure.message, code = failure.code }
end

--- Statuses of HTTP that a client may get rid of by asking again: RFC 9110, RFC 8470, RFC 6585.
local PASSING = { [408] = true, [425] = true, [429] = true }

local function is_permanent(code)
  local status = math.tointeger(tonumber(tostring(code):match("^http_(4%d%d)$")))
  return status ~= nil and not PASSING[status] or smtp.is_permanent(code)
end

--- A reply that says no, as message and code.
local function refusal(value)
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) ~= "table" or meta.__name ~= "jobq.http.reply" or value.status < 400 then
    return nil
  end
  local place = tostring(value.url):match("^%a+://([^/?#]*)") or value.url
  local host = place:match("^.*@(.*)$") or place -- without a name and a password
  return ("http %d from %s"):format(value.status, host), "http_" .. value.status
end

--- Is this error one of a must that another attempt cannot help?
function M.is_permanent(failure)
  return getmetatable(failure) == Failure and is_permanent(failure.code)
end

--- Its arguments, if the first is neither nil nor false, nor a reply with a status from 400 on.
function M.must(value, message, code, ...)
  local text, reply_code = refusal(value)
  if value and not text then
    return value, message, code, ...
  end
  if not text then
    text = message == nil and ("expected a value, got %s"):format(value) or message
  end
  local place = core.task.place() -- the table below is not given one by Lua
  error(setmetatable({
    message = place .. core.task.explain(text), code = reply_code or code,
  }, Failure), 0)
end

return M
