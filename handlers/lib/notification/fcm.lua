--- Android, and what else Firebase reaches: FCM's HTTP v1 API.
local fit = require "lib.notification.fit"
local jobq = require "jobq"
local jwt = require "lib.notification.jwt"
local setting = require "lib.notification.setting"

local M = {}

local LIMIT = 4000 -- bytes; FCM takes 4096 for its own form of it
local SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
local GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
local ASK_EARLIER = 60 -- seconds before a token ends

--- The service account and its key; or nil, message, code.
local function account()
  local text, why, code = setting "fcm_account"
  if not text then
    return nil, why, code
  end
  local fields = jobq.json.decode(text)
  local key = type(fields) == "table" and type(fields.private_key) == "string"
    and jobq.crypto.key(fields.private_key)
  if not key or not (fields.client_email and fields.project_id and fields.token_uri) then
    return nil, "setting notification.fcm_account is not the JSON file of a service account",
      "bad_setting"
  end
  return fields, key
end

local function claims(fields)
  local now = os.time()
  return {
    iss = fields.client_email, scope = SCOPE, aud = fields.token_uri, iat = now, exp = now + 3600,
  }
end

--- OAuth 2: a signature for a token, and for how long that is good; or nil, message, code.
local function fetch_token(fields, key)
  local reply, why, code = jobq.http.post(fields.token_uri, {
    form = { grant_type = GRANT, assertion = jwt.sign(key, claims(fields)) }, timeout = 10,
  })
  if not reply then
    return nil, why, code
  end
  local answer = reply:json()
  if not reply.ok or type(answer) ~= "table" or not answer.access_token then
    return nil, ("http %d from %s\nhint: is the key of the service account still good, and the "
      .. "clock right?"):format(reply.status, fields.token_uri), "http_" .. reply.status
  end
  return answer.access_token, (tonumber(answer.expires_in) or 3600) - ASK_EARLIER
end

--- Only texts go there.
local function texts(note)
  local data = { topic = note.topic, url = note.url }
  for name, value in pairs(note.data or {}) do
    data[name] = type(value) == "string" and value or jobq.json.encode(value)
  end
  return data
end

local function message(note, target)
  return function(body)
    return jobq.json.encode { message = {
      token = target.address, notification = { title = note.title, body = body },
      data = texts(note),
      android = {
        priority = note.urgent and "HIGH" or "NORMAL", ttl = note.ttl .. "s",
        notification = { tag = note.id },
      },
      apns = { headers = { ["apns-collapse-id"] = note.id } },
      webpush = { headers = { Topic = note.id, TTL = tostring(note.ttl) } },
    } }
  end
end

function M.request(note, target)
  local fields, key, code = account()
  if not fields then
    return nil, key, code
  end
  local token, text, why
  token, why, code = jwt.keep("fcm", function() return fetch_token(fields, key) end)
  if token then
    text, why, code = fit(note.body, LIMIT, message(note, target))
  end
  if not text then
    return nil, why, code
  end
  local url = ("%s/v1/projects/%s/messages:send"):format(
    jobq.config.notification.fcm_url, fields.project_id)
  local headers = { ["Content-Type"] = "application/json" }
  return { url = url, bearer = token, body = text, headers = headers }
end

--- UNREGISTERED; a 404 alone could be a wrong project.
function M.is_gone(reply)
  return reply.status == 404 and reply.body:find('"UNREGISTERED"', 1, true) ~= nil
end

--- The token has ended before its time: the next attempt asks for another.
function M.is_stale(reply)
  if reply.status == 401 then
    jwt.forget "fcm"
  end
  return reply.status == 401
end

return M
