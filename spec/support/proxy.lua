--- spec/faults/proxy.lua as a process of ours, between clients and a server.
--
--     local line = proxy.open(dir, server_dir, { "w1", "w2" })     dir: for its sockets
--     line:dsn(db.dsn, "w1")                                       how w1 connects through it
--     line:order("half", "w1", 5, "resume")                        see the program
--     line:wait_for "half w1"                                      what it tells
--     line:close()
local uv = require "luv"
local process = require "support.process"

local Proxy = {}
Proxy.__index = Proxy

local M = {}

function M.open(dir, server_dir, clients)
  local self = setmetatable({ dir = dir }, Proxy)
  self.process = process.lua { "spec/faults/proxy.lua", dir, server_dir, table.unpack(clients) }
  self:wait_for "ready"
  self.control = uv.new_pipe()
  self.control:connect(dir .. "/control")
  return self
end

function Proxy:dsn(dsn, client)
  return (dsn:gsub("host=%S+", ("host=%s/%s"):format(self.dir, client)))
end

function Proxy:order(...)
  self.control:write(table.concat({ ... }, " ") .. "\n")
end

--- A line that begins so, of those not waited for yet.
function Proxy:wait_for(text)
  self.read = self.read or 0
  self.process:wait_until(function()
    while self.process.out_lines[self.read + 1] do
      self.read = self.read + 1
      if self.process.out_lines[self.read]:sub(1, #text) == text then
        return true
      end
    end
  end, ("the proxy to say '%s'"):format(text))
end

--- Ends the program, too.
function Proxy:close()
  self.control:close()
end

return M
