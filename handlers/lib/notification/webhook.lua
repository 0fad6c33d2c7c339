--- Other people's servers: signed as Standard Webhooks says, v1 (HMAC-SHA256).
local jobq = require "jobq"

local crypto = jobq.crypto

local M = {}

--- The key of "whsec_...", 24 to 64 bytes; or nil, message, code.
local function key_of(target)
  local text = tostring(target.keys.secret):match "^whsec_(.+)$"
  local key = text and crypto.decode(text, "base64")
  if not key or #key < 24 or #key > 64 then
    return nil, "the subscription's secret is not whsec_ and 24 to 64 bytes in base64",
      "bad_subscription"
  end
  return key
end

--- The header webhook-signature; time: Unix seconds.
function M.signature(key, id, time, body)
  return "v1," .. crypto.hmac("sha256", key, ("%s.%d.%s"):format(id, time, body), "base64")
end

--- The same in every attempt.
local function payload(note)
  return jobq.json.encode {
    type = "notification." .. note.topic,
    timestamp = os.date("!%Y-%m-%dT%H:%M:%SZ", note.created_at),
    data = {
      title = note.title, body = note.body, url = note.url, user = note.user, data = note.data,
    },
  }
end

function M.request(note, target)
  if not target.address:find "^https://" then
    return nil, "the address of the webhook is not https", "bad_subscription"
  end
  local key, why, code = key_of(target)
  if not key then
    return nil, why, code
  end
  local id, now, body = "msg_" .. note.id, os.time(), payload(note)
  return { url = target.address, body = body, headers = {
    ["Content-Type"] = "application/json", ["webhook-id"] = id,
    ["webhook-timestamp"] = tostring(now), ["webhook-signature"] = M.signature(key, id, now, body),
  } }
end

--- By Standard Webhooks, 410 says: never again. A 404 may be a deployment of theirs.
function M.is_gone(reply)
  return reply.status == 410
end

return M
