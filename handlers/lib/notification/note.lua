--- What is to be told, from a job's arguments.
local jobq = require "jobq"
local merge = require "lib.merge"

local M = {}

M.CHANNELS = { "app", "apns", "fcm", "ntfy", "webhook", "webpush" }

--- Arguments that push and batch have in common.
local ARGS = {
  title = { "string", min = 1, max = 200 },
  body = { "string", max = 10000, default = "", summary = "services that take less get its start" },
  topic = { "string", min = 1, max = 60, default = "general", summary = "what preferences go by" },
  url = { "string?", max = 1000, summary = "where a click leads" },
  data = { "object?", summary = "for the application, as it is" },
  channels = { "array?", items = { "string", enum = M.CHANNELS }, summary = "only these" },
  urgent = { "boolean", default = false, summary = "also in quiet hours" },
  ttl = { "integer?", min = 0, max = 2419200, summary = "seconds that services keep it" },
  dedup_key = { "string?", min = 1, max = 200, summary = "a user is shown it once" },
}

function M.args_with(more)
  return merge(ARGS, more)
end

--- The arguments of a push to this user.
function M.args_for(user, args)
  local own = { user = user }
  for name in pairs(ARGS) do
    own[name] = args[name]
  end
  return own
end

--- key tells notifications apart, id is the same for services: 32 letters that say nothing.
function M.of(job, user, args)
  local key = ("%d:%s"):format(user, args.dedup_key or job.idempotency_key)
  return {
    user = user, key = key, id = jobq.crypto.hash("sha256", key, "base64url"):sub(1, 32),
    title = args.title, body = args.body, topic = args.topic, url = args.url, data = args.data,
    urgent = args.urgent, ttl = args.ttl or jobq.config.notification.ttl,
    created_at = math.floor(job.created_at), channels = args.channels,
  }
end

function M.wants(note, channel)
  for _, wanted in ipairs(note.channels or { channel }) do
    if wanted == channel then
      return true
    end
  end
  return false
end

return M
