--- spec/support/mail_server.js in a spec: smtp-server and mailparser, with STARTTLS and a login.
--
--     local server = mail_server.start()
--     families.worker(db, server.settings)
--     server:next()               waits for a mail, or for "held"
--     server:count()              what nobody has asked for yet
--     server:release()            the last word for the mail that it holds
local cjson = require "cjson"
local files = require "support.files"
local process = require "support.process"
local uv = require "luv"

local M = {}

local USER, PASSWORD = "app", "wörd pass"

local Server = {}
Server.__index = Server

local node_modules, dir

local function peers()
  if not node_modules then
    local p = process.start { "scripts/test.d/peers", "node" }
    assert(p:wait() == 0, p:errors())
    node_modules = p.out_lines[#p.out_lines] .. "/node_modules"
  end
  return node_modules
end

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
  local modules, cert, key = peers(), certificate()
  local p = process.start {
    "node", "spec/support/mail_server.js", cert, key, USER, PASSWORD, env = { NODE_PATH = modules },
  }
  local self = setmetatable({ seen = 0, process = p }, Server)
  self.settings = {
    ["smtp.host"] = "127.0.0.1", ["smtp.port"] = math.tointeger(self:next().port),
    ["smtp.tls"] = "starttls", ["smtp.ca_file"] = cert, ["smtp.username"] = USER,
    ["smtp.password"] = PASSWORD, ["smtp.from"] = "App <app@example.com>",
  }
  return self
end

function Server:next()
  local lines = self.process.out_lines
  self.process:wait_until(function()
    return lines[self.seen + 1] or self.process.status
  end, "a line of the mail server")
  self.seen = self.seen + 1
  return cjson.decode(lines[self.seen] or error "the mail server has ended")
end

function Server:count()
  uv.run "nowait"
  return #self.process.out_lines - self.seen
end

function Server:release()
  self.process:signal "sigusr2"
end

return M
