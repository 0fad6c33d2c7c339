--- Apple's devices: APNs, over HTTP/2, with a key for tokens (.p8).
local fit = require "lib.notification.fit"
local jobq = require "jobq"
local jwt = require "lib.notification.jwt"
local setting = require "lib.notification.setting"

local M = {}

local LIMIT = 4096 -- bytes
local TOKEN_SECONDS = 50 * 60 -- Apple wants each for 20 to 60 minutes

--- A token; or nil, message, code.
local function make_token()
  local pem, why, code = setting "apns_key"
  local id, team
  if pem then
    id, why, code = setting "apns_key_id"
  end
  if id then
    team, why, code = setting "apns_team"
  end
  if not team then
    return nil, why, code
  end
  local key = jobq.crypto.key(pem)
  if not key or key.type ~= "p256" then
    return nil, "setting notification.apns_key is not a .p8 file of Apple", "bad_setting"
  end
  return jwt.sign(key, { iss = team, iat = os.time() }, { kid = id }), TOKEN_SECONDS
end

local function payload(note)
  return function(body)
    return jobq.json.encode {
      aps = {
        alert = { title = note.title, body = body }, sound = "default", ["thread-id"] = note.topic,
      },
      url = note.url, data = note.data,
    }
  end
end

local function headers(note, bundle)
  return {
    ["apns-topic"] = bundle, ["apns-push-type"] = "alert", ["apns-collapse-id"] = note.id,
    ["apns-priority"] = note.urgent and "10" or "5",
    ["apns-expiration"] = tostring(os.time() + note.ttl),
    ["Content-Type"] = "application/json",
  }
end

function M.request(note, target)
  if not target.address:find "^%x+$" then
    return nil, "the device's token is not hexadecimal", "bad_subscription"
  end
  local bundle, why, code = setting "apns_topic"
  local token, text
  if bundle then
    token, why, code = jwt.keep("apns", make_token)
  end
  if token then
    text, why, code = fit(note.body, LIMIT, payload(note))
  end
  if not text then
    return nil, why, code
  end
  local url = ("%s/3/device/%s"):format(jobq.config.notification.apns_url, target.address)
  return { url = url, bearer = token, body = text, headers = headers(note, bundle) }
end

function M.is_gone(reply)
  return reply.status == 410
end

--- Our token has ended before its time: the next attempt makes another.
function M.is_stale(reply)
  local stale = reply.status == 403 and reply.body:find("ExpiredProviderToken", 1, true) ~= nil
  if stale then
    jwt.forget "apns"
  end
  return stale
end

return M
