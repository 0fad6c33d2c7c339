--- spec/unit/http_server.py in a spec.
--
--     local server = http_server.start("--tls", cert, key)
--     server.url                  "http://127.0.0.1:41234", without a slash at the end
--     server:next()               the next request that it tells; over ends of connections
--     server:wait_closed(n)       until connection n is closed
local teller = require "support.teller"

local M = {}

local Server = teller.class "the http server"

function M.start(...)
  local words = { "/usr/bin/python3", "spec/unit/http_server.py", ... }
  local self = teller.start(Server, words)
  local text = table.concat({ ... }, " ")
  self.port = math.tointeger(self:line().port)
  local scheme = text:find("--tls", 1, true) and "https" or "http"
  local host = text:find("::1", 1, true) and "[::1]" or "127.0.0.1"
  self.url = ("%s://%s:%d"):format(scheme, host, self.port)
  return self
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
