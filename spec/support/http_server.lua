--- spec/unit/http_server.py in a spec.
--
--     local server = http_server.start("--tls", cert, key)
--     server.url                  "http://127.0.0.1:41234", without a slash at the end
--     server:next()               the next request that it tells; over ends of connections
--     server:wait_closed(n)       until connection n is closed
local cjson = require "cjson"
local process = require "support.process"

local M = {}

local Server = {}
Server.__index = Server

function M.start(...)
  local words = { "/usr/bin/python3", "spec/unit/http_server.py", ... }
  local self = setmetatable({ seen = 0, process = process.start(words) }, Server)
  local text = table.concat({ ... }, " ")
  self.port = math.tointeger(self:line().port)
  local scheme = text:find("--tls", 1, true) and "https" or "http"
  local host = text:find("::1", 1, true) and "[::1]" or "127.0.0.1"
  self.url = ("%s://%s:%d"):format(scheme, host, self.port)
  return self
end

function Server:line()
  local lines = self.process.out_lines
  self.process:wait_until(function()
    return lines[self.seen + 1] or self.process.status
  end, "a line of the http server")
  self.seen = self.seen + 1
  return cjson.decode(lines[self.seen] or error "the http server has ended")
end

function Server:next()
  local told
  repeat
    told = self:line()
  until told.method
  return told
end

function Server:wait_closed()
  local told
  repeat
    told = self:line()
  until told.closed
  return told
end

return M
