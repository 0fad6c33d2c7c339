--- A service manager that a worker can notify, in a spec.
--
--     local m = manager.start(dir.path .. "/notify")
--     engine.start(db, handlers, {}, { NOTIFY_SOCKET = m.path })
--     m:hears "READY=1"            -- the next datagram of that beginning, as one line
local process = require "support.process"

local M = {}

local Manager = setmetatable({}, { __index = process.Process })
Manager.__index = Manager

function M.start(path)
  local self = setmetatable(process.start { "python3", "spec/support/manager.py", path }, Manager)
  self.path = path
  self:hears "listening"
  return self
end

--- Passes over signs of life only: the states come in this order and no other.
function Manager:hears(beginning)
  return self:wait_for_line(function(line)
    if line:sub(1, #beginning) == beginning then
      return line
    end
    assert(line == "WATCHDOG=1", ("expected '%s', heard '%s'"):format(beginning, line))
  end, ("the datagram '%s'"):format(beginning))
end

return M
