--- Asks clamd (Debian: clamav-daemon) for viruses by its command INSTREAM, a block at a time. What
--- is not said clearly is no answer, and never "clean".
local jobq = require "jobq"
local need = require "lib.file.need"

local M = {}

local BLOCK = 256 << 10
local TIMEOUT = 600 -- seconds for one answer: archives take long
local HINT = "\nhint: the setting file.clamd; on Debian: apt-get install clamav-daemon"
local TOO_LARGE = "%s has %d bytes, the scanner takes %d\n"
  .. "hint: StreamMaxLength of clamd, and the setting file.scan_bytes"

--- "/run/clamav/clamd.ctl" or "scanner:3310"
local function connect(address)
  local host, port = address:match "^([^/]+):(%d+)$"
  local socket, why = jobq.socket.connect {
    path = not host and address or nil, host = host, port = host and tonumber(port),
    timeout = TIMEOUT,
  }
  return need(socket, why and why .. HINT)
end

local function send(socket, text)
  local sent, why = socket:write(text)
  return need(sent, why and why .. "\nhint: is the file larger than StreamMaxLength of clamd?")
end

local function send_file(socket, path)
  local offset = 0
  send(socket, "zINSTREAM\0")
  repeat
    local block = need(jobq.fs.read(path, { offset = offset, length = BLOCK }))
    send(socket, string.pack(">s4", block)) -- an empty one is the end
    offset = offset + #block
  until block == ""
end

local function understand(reply)
  local virus = reply:match "^stream: (.+) FOUND%z?$"
  if reply:find "^stream: OK%z?$" then
    return { clean = true }
  elseif virus then
    return { clean = false, virus = virus }
  end
  error(jobq.retry("clamd says: " .. reply:gsub("%c", " ")))
end

--- { clean = true } or { clean = false, virus = NAME }; else the run ends.
function M.scan(file)
  local size, max = file:stat().size, jobq.config.file.scan_bytes
  if size > max then
    error(jobq.discard(TOO_LARGE:format(file.name, size, max)))
  end
  local socket = connect(jobq.config.file.clamd)
  send_file(socket, file:path())
  local reply = need(socket:read "all")
  socket:close()
  return understand(reply)
end

return M
