--- A real clamd with a signature of our own: what has M.VIRUS in it is infected.
--
--     local scanner = clamd.start(dir)       ready; scanner.socket is its path
--     scanner:stop()
local files = require "support.files"
local process = require "support.process"

local M = { VIRUS = "jobq-spec-virus", NAME = "Jobq.Spec.UNOFFICIAL" }

local CONFIG = [[
DatabaseDirectory %s/db
LocalSocket %s/clamd.ctl
Foreground yes
StreamMaxLength 4M
]]

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

function M.start(dir)
  files.write(dir .. "/db/spec.ndb", ("Jobq.Spec:0:*:%s\n"):format(hex(M.VIRUS)))
  files.write(dir .. "/clamd.conf", CONFIG:format(dir, dir))
  local p = process.start {
    "sh", "-c", "exec clamd --config-file \"$0\" >&2", dir .. "/clamd.conf",
    env = { PATH = "/usr/sbin:/usr/bin:/bin" },
  }
  p.socket = dir .. "/clamd.ctl"
  p:wait_for_line(function(line) return line:find "Self checking" end, "the end of its start")
  return p
end

return M
