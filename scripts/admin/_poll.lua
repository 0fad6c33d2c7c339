--- Waiting for something that only asking again can tell.
local host = require "jobq.host"

local M = {}

local FIRST_S, LAST_S = 0.05, 1

--- Until look() answers something other than nil, or `seconds` (nil: no end) are over: its answer,
--- or nil. It is asked quickly at first, then once a second.
function M.wait(seconds, look)
  local deadline = seconds and host.time() + seconds
  local pause = FIRST_S
  while true do
    local answer = look()
    if answer ~= nil then
      return answer
    end
    local left = deadline and deadline - host.time() or pause
    if left <= 0 then
      return nil
    end
    host.sleep(math.min(pause, left))
    pause = math.min(pause * 1.5, LAST_S)
  end
end

return M
