--- One notification to one subscription.
local ask = require "lib.notification.ask"
local failure = require "lib.notification.failure"
local jobq = require "jobq"

local CHANNELS = {
  apns = require "lib.notification.apns", fcm = require "lib.notification.fcm",
  ntfy = require "lib.notification.ntfy", webhook = require "lib.notification.webhook",
  webpush = require "lib.notification.webpush",
}

local TIMEOUT = 10 -- seconds
local LONGEST_PAUSE = 24 * 3600
local SHOWN = 200 -- bytes of what they say

--- The header Retry-After in seconds, or nil; PostgreSQL reads the other form of it, a date.
local function pause_of(reply)
  local text = reply.headers["retry-after"]
  local seconds = tonumber(text)
  if text and not seconds then
    seconds = jobq.sql.value("select extract(epoch from $1::timestamptz - now())::float8", text)
  end
  return seconds and math.max(0, math.min(seconds, LONGEST_PAUSE))
end

local function explain(target, reply)
  local said = (reply.body or ""):gsub("[^\32-\126]+", " "):sub(1, SHOWN)
  return ("%s: http %d%s"):format(target.channel, reply.status, said ~= "" and ": " .. said or "")
end

--- The subscription is removed, and that is no failure; or nil, message, code.
local function remove(target)
  local rows, why, code = ask("gone", target.id)
  if not rows then
    return nil, why, code
  end
  return "gone"
end

local function judge(channel, target, reply)
  if reply.ok then
    return "sent"
  elseif channel.is_gone(reply) then
    return remove(target)
  end
  local is_stale = channel.is_stale and channel.is_stale(reply)
  return nil, explain(target, reply), is_stale and "stale" or "http_" .. reply.status,
    pause_of(reply)
end

--- "sent" or "gone"; or nil, message, code, and the seconds that the service wants to be left
--- alone.
local function deliver(note, target)
  if not target.channel then
    return "gone" -- since an earlier attempt
  end
  local channel = CHANNELS[target.channel]
  local request, why, code = channel.request(note, target)
  local reply
  if request then
    request.method, request.timeout, request.limit = "POST", TIMEOUT, "1M"
    reply, why, code = jobq.http.request(request)
  end
  if not reply then
    return nil, ("%s: %s"):format(target.channel, why), code
  end
  return judge(channel, target, reply)
end

local M = {}

--- The same, at most once for each subscription: what was delivered is a step of the job.
function M.once(note, target)
  local pause
  local status, why, code = jobq.step("delivery", target.id, function()
    local how, problem, problem_code, seconds = deliver(note, target)
    pause = seconds
    return how, problem, problem_code
  end)
  return status, why, code, pause
end

--- To all of them; what has become of it: sent, gone, refused (messages), and later, the last
--- failure that may pass.
function M.all(job, note, targets)
  local tally = { sent = 0, gone = 0, refused = jobq.json.array {} }
  for i, target in ipairs(targets) do
    local status, why, code, pause = M.once(note, target)
    if status then
      tally[status] = tally[status] + 1
    elseif failure.is_permanent(code) then
      table.insert(tally.refused, why)
      job.log:warn("refused", { subscription = target.id, why = why, code = code })
    else
      tally.later = { why = why, code = code, pause = pause }
    end
    job:progress(i / #targets)
  end
  return tally
end

return M
