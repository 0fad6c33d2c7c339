--- Bytes to a server and back, in a spec that wants to say exactly what it sends.
--
--     local client = http_client.connect "127.0.0.1:7070"
--     client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
--     local answer = client:answer()       { status =, fields = { ["content-type"] = }, body = }
--     client:close()
--     http_client.get("127.0.0.1:7070", "/jobs")     an answer, on a connection of its own
local uv = require "luv"

local M = {}

local PATIENCE_S = 30

local Client = {}
Client.__index = Client

function M.connect(address)
  local host, port = address:match "^(.*):(%d+)$"
  local self = setmetatable({ got = "", tcp = uv.new_tcp() }, Client)
  self.tcp:connect(host, tonumber(port), function(err)
    self.connected, self.err = not err, err
    if not err then
      self.tcp:read_start(function(why, data)
        self.got = self.got .. (data or "")
        self.closed = self.closed or why or not data
      end)
    end
  end)
  self:wait_until("connected", function() return self.connected or self.err end)
  assert(not self.err, self.err)
  return self
end

function Client:wait_until(what, is_so)
  local deadline = uv.hrtime() + PATIENCE_S * 1e9
  local tick = uv.new_timer()
  tick:start(20, 20, function() end)
  while not is_so() do
    if uv.hrtime() > deadline then
      error(("waited in vain until %s; got: %s"):format(what, self.got), 0)
    end
    uv.run "once"
  end
  tick:close()
end

function Client:send(text)
  self.tcp:write(text)
end

--- The next one; of a body only as much as Content-Length says.
function Client:answer()
  local head, size
  self:wait_until("an answer comes", function()
    head = self.got:match "^(.-\r\n)\r\n"
    size = head and tonumber(head:match "\r\nContent%-Length: (%d+)\r\n" or 0)
    return head and #self.got >= #head + 2 + size or self.closed
  end)
  assert(head, "the server has closed without an answer")
  local answer = { status = tonumber(head:match "^HTTP/1.1 (%d+) "), fields = {} }
  for name, value in head:gmatch "\r\n([^:\r\n]+): ([^\r\n]*)" do
    answer.fields[name:lower()] = value
  end
  answer.body = self.got:sub(#head + 3, #head + 2 + size)
  self.got = self.got:sub(#head + 3 + size)
  return answer
end

--- Until the server closes.
function Client:wait_closed()
  self:wait_until("the server closes", function() return self.closed end)
end

function Client:close()
  if not self.tcp:is_closing() then
    self.tcp:close()
  end
  uv.run "nowait"
end

function M.get(address, path)
  local client = M.connect(address)
  client:send(("GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):format(path))
  local answer = client:answer()
  client:close()
  return answer
end

return M
