--- Browsers: RFC 8030 (delivery), 8291 (encryption), 8292 (who we are).
local fit = require "lib.notification.fit"
local jobq = require "jobq"
local jwt = require "lib.notification.jwt"
local seal = require "lib.notification.seal"
local setting = require "lib.notification.setting"

local crypto = jobq.crypto

local M = {}

local TOKEN_SECONDS = 12 * 3600 -- RFC 8292 allows 24 hours

--- What `jobq vapid` has made.
local function vapid_key()
  local text, why, code = setting "vapid_key"
  if not text then
    return nil, why, code
  end
  local bytes = crypto.decode((text:gsub("%s+$", "")), "base64url")
  local key = bytes and crypto.key { type = "p256", private = bytes }
  if not key then
    return nil, "setting notification.vapid_key is no key\nhint: jobq vapid makes one",
      "bad_setting"
  end
  return key
end

--- The header Authorization for a push service; now: Unix seconds.
function M.authorization(key, origin, subject, now)
  local token = jwt.sign(key, { aud = origin, exp = now + TOKEN_SECONDS, sub = subject })
  return ("vapid t=%s, k=%s"):format(token, crypto.encode(key:public():raw(), "base64url"))
end

local function payload(note)
  return function(body)
    return jobq.json.encode {
      title = note.title, body = body, url = note.url, topic = note.topic, data = note.data,
      tag = note.id,
    }
  end
end

local function headers(note, authorization)
  return {
    Authorization = authorization, ["Content-Encoding"] = "aes128gcm",
    ["Content-Type"] = "application/octet-stream", TTL = tostring(note.ttl),
    Topic = note.id, Urgency = note.urgent and "high" or "normal",
  }
end

--- The text for this subscription; or nil, message, code.
local function sealed(note, target)
  local text, why, code = fit(note.body, seal.LIMIT, payload(note))
  if not text then
    return nil, why, code
  end
  local own
  own, why, code = crypto.generate_key "p256"
  if not own then
    return nil, why, code
  end
  return seal.seal(text, target.keys, own, crypto.random(16))
end

function M.request(note, target)
  local origin = target.address:match "^https://[^/?#@%s]+"
  if not origin then
    return nil, "the endpoint is no https address", "bad_subscription"
  end
  local key, why, code = vapid_key()
  local subject, body
  if key then
    subject, why, code = setting "vapid_subject"
  end
  if subject then
    body, why, code = sealed(note, target)
  end
  if not body then
    return nil, why, code
  end
  local authorization = M.authorization(key, origin:lower(), subject, os.time())
  return { url = target.address, headers = headers(note, authorization), body = body }
end

function M.is_gone(reply)
  return reply.status == 404 or reply.status == 410
end

return M
