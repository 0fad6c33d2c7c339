--- spec/support/push_server.js in a spec: the services that notifications go to.
--
--     local server = push_server.start(dir)          its certificates and keys are files there
--     families.worker(db, server.settings)
--     server:subscribe(db, 1, "webpush", "busy")     a user's subscription; its id
--     server:next()                                  the next request that was checked
--     server:count()                                 what nobody has asked for yet
--     server:release()                               answers what it holds
local cjson = require "cjson"
local files = require "support.files"
local teller = require "support.teller"

local M = {}

M.VAPID = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94" -- of RFC 8291, appendix A

local Server = teller.class "the push server"

local function certificate(dir)
  local cert, key = dir .. "/cert.pem", dir .. "/key.pem"
  if not files.exists(cert) then
    files.run {
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
      "-addext", "subjectAltName=IP:127.0.0.1",
    }
  end
  return cert, key
end

local function settings(dir, cert, told)
  local url = ("https://127.0.0.1:%d"):format(told.port)
  files.write(dir .. "/apns.p8", told.apple)
  files.write(dir .. "/account.json", cjson.encode {
    client_email = "app@example.iam", project_id = "demo", private_key = told.account,
    token_uri = url .. "/token",
  })
  return {
    ["http.allow_private"] = true, ["http.ca_file"] = cert,
    ["notification.vapid_key"] = M.VAPID,
    ["notification.vapid_subject"] = "mailto:push@example.org",
    ["notification.fcm_url"] = url,
    ["notification.fcm_account"] = "file:" .. dir .. "/account.json",
    ["notification.apns_url"] = url, ["notification.apns_key"] = "file:" .. dir .. "/apns.p8",
    ["notification.apns_key_id"] = "KEY123", ["notification.apns_team"] = "TEAM45",
    ["notification.apns_topic"] = "org.example.app",
    ["notification.ntfy_url"] = url, ["notification.ntfy_token"] = "tk_spec",
  }, url
end

function M.start(dir)
  local cert, key = certificate(dir)
  local self = teller.start(Server, {
    "node", "spec/support/push_server.js", cert, key,
    env = { NODE_PATH = teller.peers "node" .. "/node_modules" },
  })
  self.told = self:next()
  self.settings, self.url = settings(dir, cert, self.told)
  return self
end

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local ADDRESS = {
  webpush = function(url, name) return url .. "/wp/" .. name end,
  webhook = function(url, name) return url .. "/hook/" .. name end,
  apns = function(_, name) return hex(name) end,
}

function Server:subscribe(db, user, channel, name, keys)
  local address = ADDRESS[channel] and ADDRESS[channel](self.url, name) or name
  keys = keys or channel == "webpush" and self.told.keys
    or channel == "webhook" and { secret = self.told.secret } or {}
  return db:value([[insert into app.subscriptions (user_id, channel, address, keys)
    values ($1, $2, $3, $4::jsonb) returning id]], user, channel, address,
    next(keys) and cjson.encode(keys) or "{}")
end

return M
