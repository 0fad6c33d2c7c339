--- spec/unit/smtp_server.py in a spec.
--
--     local server = smtp_server.start("--login", "app", "secret")
--     server.port
--     server:next()               waits for a mail
--     server:count()              mails that nobody has asked for yet
local cjson = require "cjson"
local process = require "support.process"
local uv = require "luv"

local M = {}

local Server = {}
Server.__index = Server

function M.start(...)
  local p = process.start { "/usr/bin/python3", "spec/unit/smtp_server.py", ... }
  local self = setmetatable({ seen = 0, process = p }, Server)
  self.port = math.tointeger(self:next().port)
  return self
end

function Server:next()
  local lines = self.process.out_lines
  self.process:wait_until(function()
    return lines[self.seen + 1] or self.process.status
  end, "a line of the smtp server")
  self.seen = self.seen + 1
  return cjson.decode(lines[self.seen] or error "the smtp server has ended")
end

function Server:count()
  uv.run "nowait"
  return #self.process.out_lines - self.seen
end

return M
