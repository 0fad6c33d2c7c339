--- Colours, on terminals that want them.
local host = require "jobq.host"

local M = {}

local STYLES = {
  title = "1", good = "32", bad = "31", warn = "33", busy = "36", dim = "2",
  -- statuses of jobs
  completed = "32", failed = "31", processing = "36", cancelled = "2",
}

local enabled = false

local function wanted()
  local refused = os.getenv "NO_COLOR"
  return host.is_tty(1) and not (refused and refused ~= "") and os.getenv "TERM" ~= "dumb"
end

function M.setup(refused)
  enabled = not refused and wanted()
end

--- A style that is not known, or nil, leaves the text as it is.
function M.paint(style, text)
  if not enabled or not STYLES[style] or text == "" then
    return text
  end
  return ("\27[%sm%s\27[0m"):format(STYLES[style], text)
end

return M
