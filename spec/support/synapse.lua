--- A real Matrix homeserver in a spec: Synapse with SQLite, on loopback, without limits.
--
--     local server = synapse.start(dir)            in setup; it ends with the file
--     server.settings                              of families.worker
--     local ann = server:user "ann"                { id, token }; server:admin "root" has rights
--     server:account_of "ann"                      the same, and is @ann:example.org
--     local room = server:room(ann, { name = "One" })
--     server:say(ann, room, "hello", ts)           ts: milliseconds, only by server.service
--     local mxc = server:upload(ann, bytes, "image/png", "a.png")
--     server:get(path) server:ask("PUT", path, body, token)     decoded; the administrator's token
--     server:limit(ann)                            one message or change a second from now on
--     server.process                               support/process.lua
local core = require "jobq.core"
local files = require "support.files"
local jobq = require "jobq"
local process = require "support.process"
local teller = require "support.teller"
local uv = require "luv"

local M = {}

local NAME = "example.org"
local SECRET = "spec-registration"
local SERVICE = "spec-service-token" -- it may say when something was said

local FREE = "{ per_second: 10000, burst_count: 10000 }"

local CONFIG = [[
server_name: %s
pid_file: DIR/pid
listeners:
  - port: PORT
    type: http
    bind_addresses: ["127.0.0.1"]
    resources: [{ names: [client, media] }]
database: { name: sqlite3, args: { database: "DIR/homeserver.db" } }
media_store_path: DIR/media
signing_key_path: DIR/key
log_config: DIR/log.yaml
app_service_config_files: ["DIR/service.yaml"]
registration_shared_secret: %s
macaroon_secret_key: spec
form_secret: spec
report_stats: false
trusted_key_servers: []
federation_domain_whitelist: []
bcrypt_rounds: 4
rc_message: FREE
rc_profile: FREE
rc_registration: FREE
rc_joins: { local: FREE }
rc_joins_per_room: FREE
rc_room_creation: FREE
rc_invites: { per_room: FREE, per_user: FREE, per_issuer: FREE }
]]

local LOG = [[
version: 1
handlers: { console: { class: logging.StreamHandler } }
root: { level: WARNING, handlers: [console] }
]]

local AS = [[
id: spec
url: null
as_token: %s
hs_token: unused
sender_localpart: service
rate_limited: false
namespaces: { users: [{ exclusive: false, regex: "@service:.*" }] }
]]

local Server = {}
Server.__index = Server

---- its start ----

local function free_port()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = socket:getsockname().port
  socket:close()
  return port
end

local function configure(dir, port)
  local text = CONFIG:format(NAME, SECRET):gsub("DIR", dir):gsub("PORT", port):gsub("FREE", FREE)
  files.write(dir .. "/config.yaml", text)
  files.write(dir .. "/log.yaml", LOG)
  files.write(dir .. "/service.yaml", AS:format(SERVICE))
  local key = jobq.crypto.random(32, "base64"):gsub("=", "")
  files.write(dir .. "/key", ("ed25519 a_spec %s\n"):format(key))
end

function M.start(dir)
  local port = free_port()
  configure(dir, port)
  local self = setmetatable({ url = "http://127.0.0.1:" .. port, users = 0 }, Server)
  self.process = process.start {
    teller.peers "python" .. "/bin/python", "-m", "synapse.app.homeserver",
    "-c", dir .. "/config.yaml",
    cwd = dir, of_file = true,
  }
  self.process:wait_until(function() return self:is_up() end, "an answer of synapse")
  self.boss = self:admin "boss"
  self.service = { id = "@service:" .. NAME, token = SERVICE }
  self.settings = { ["matrix.homeserver"] = self.url, ["matrix.token"] = self.boss.token }
  return self
end

---- requests ----

local function request(options)
  return core.task.run(function()
    local reply, why, code = jobq.http.request(options)
    return reply, why, code
  end)
end

function Server:is_up()
  local reply = request { url = self.url .. "/health", allow_private = true, timeout = 1 }
  return reply and reply.ok
end

--- What it answers, and the status.
function Server:ask(method, path, body, token, more)
  local options = { method = method, url = self.url .. path, allow_private = true, json = body,
    bearer = token or self.boss and self.boss.token }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  local reply = assert(request(options))
  return reply:json(), reply.status
end

function Server:get(path)
  return self:ask("GET", path)
end

local function must(body, status)
  return status == 200 and body or error("synapse: " .. core.json.encode(body), 3)
end

---- who and what is there ----

local function register(self, name, is_admin)
  local nonce = self:get("/_synapse/admin/v1/register").nonce
  local mac = jobq.crypto.hmac("sha1", SECRET,
    table.concat({ nonce, name, "password", is_admin and "admin" or "notadmin" }, "\0"), "hex")
  local account = must(self:ask("POST", "/_synapse/admin/v1/register", {
    nonce = nonce, username = name, password = "password", admin = is_admin, mac = mac,
  }))
  return { id = account.user_id, token = account.access_token }
end

--- The name gets a number, so that each spec has its own.
function Server:user(name)
  self.users = self.users + 1
  return register(self, name .. self.users, false)
end

--- The name as it is.
function Server:account_of(name)
  return register(self, name, false)
end

function Server:admin(name)
  return register(self, name, true)
end

function Server:room(user, options)
  return must(self:ask("POST", "/_matrix/client/v3/createRoom", options or {}, user.token)).room_id
end

local function event_path(self, room, words)
  self.sent = (self.sent or 0) + 1
  return ("/_matrix/client/v3/rooms/%s/send/m.room.message/%d%s"):format(room, self.sent, words)
end

function Server:say(user, room, text, ts)
  return must(self:ask("PUT", event_path(self, room, ts and "?ts=" .. ts or ""),
    { msgtype = "m.text", body = text }, user.token)).event_id
end

function Server:leave(user, room)
  must(self:ask("POST", ("/_matrix/client/v3/rooms/%s/leave"):format(room), {}, user.token))
end

function Server:join(user, room)
  must(self:ask("POST", ("/_matrix/client/v3/rooms/%s/join"):format(room), {}, user.token))
end

function Server:upload(user, bytes, kind, name)
  return must(self:ask("POST", "/_matrix/media/v3/upload?filename=" .. name, nil, user.token,
    { body = bytes, headers = { ["Content-Type"] = kind } })).content_uri
end

function Server:account(user)
  return must(self:get("/_synapse/admin/v2/users/" .. user.id))
end

function Server:has_room(room)
  local _, status = self:get("/_synapse/admin/v1/rooms/" .. room)
  return status == 200
end

function Server:limit(user)
  must(self:ask("POST", ("/_synapse/admin/v1/users/%s/override_ratelimit"):format(user.id),
    { messages_per_second = 1, burst_count = 1 }))
end

return M
