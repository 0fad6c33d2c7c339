--- spec/support/mail_server.js in a spec: smtp-server and mailparser, with STARTTLS and a login.
--
--     local server = mail_server.start()
--     families.worker(db, server.settings)
--     server:next()               waits for a mail, or for "held"
--     server:count()              what nobody has asked for yet
--     server:release()            the last word for the mail that it holds
local files = require "support.files"
local teller = require "support.teller"
local uv = require "luv"

local M = {}

local USER, PASSWORD = "app", "wörd pass"

local Server = teller.class "the mail server"

local dir

--- A certificate for the file of specs; M.clean() removes it.
local function certificate()
  if not dir then
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
    files.run {
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes", "-days", "2", "-keyout", dir .. "/key.pem", "-out", dir .. "/cert.pem",
      "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
    }
  end
  return dir .. "/cert.pem", dir .. "/key.pem"
end

function M.clean()
  if dir then
    files.remove(dir)
  end
  dir = nil
end

function M.start()
  local cert, key = certificate()
  local self = teller.start(Server, {
    "node", "spec/support/mail_server.js", cert, key, USER, PASSWORD,
    env = { NODE_PATH = teller.peers "node" .. "/node_modules" },
  })
  self.settings = {
    ["smtp.host"] = "127.0.0.1", ["smtp.port"] = math.tointeger(self:next().port),
    ["smtp.tls"] = "starttls", ["smtp.ca_file"] = cert, ["smtp.username"] = USER,
    ["smtp.password"] = PASSWORD, ["smtp.from"] = "App <app@example.com>",
  }
  return self
end

return M
