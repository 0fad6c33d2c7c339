--- Asks clamd (Debian: clamav-daemon) for viruses by its command INSTREAM, a block at a time. What
--- is not said clearly is no answer, and never "clean".
local jobq = require "jobq"

local M = {}

local BLOCK = 256 << 10
local TIMEOUT = 600 -- seconds for one answer: archives take long
local HINT = "\nhint: the setting file.clamd; on Debian: apt-get install clamav-daemon"
local TOO_LARGE = "%s has %d bytes, the scanner takes %d\n"
  .. "hint: StreamMaxLength of clamd, and the setting file.scan_bytes"

--- "/run/clamav/clamd.ctl" or "scanner:3310"
local function connect(address)
  local host, port = address:match("^([^/]+):(%d+)$")
  local socket, why = jobq.socket.connect {
    path = not host and address or nil, host = host, port = host and tonumber(port),
    timeout = TIMEOUT,
  }
  if not socket then
    return nil, why .. HINT
  end
  return socket
end

local function send(socket, path)
  local sent, why, code = socket:write "zINSTREAM\0"
  local offset, block = 0, nil
  while sent and block ~= "" do -- an empty one is the end
    block, why, code = jobq.fs.read(path, { offset = offset, length = BLOCK })
    if not block then
      return nil, why, code
    end
    sent, why, code = socket:write(string.pack(">s4", block))
    offset = offset + #block
  end
  return sent, why, code
end

local function understand(reply)
  local virus = reply:match("^stream: (.+) FOUND%z?$")
  if reply:find("^stream: OK%z?$") then
    return { clean = true }
  elseif virus then
    return { clean = false, virus = virus }
  end
  return nil, "clamd says: " .. reply:gsub("%c", " ")
end

local function scan(path)
  local socket, why, code = connect(jobq.config.file.clamd)
  if not socket then
    return nil, why, code
  end
  local sent
  sent, why = send(socket, path)
  if not sent then
    return nil, why .. "\nhint: is the file larger than StreamMaxLength of clamd?"
  end
  local reply
  reply, why, code = socket:read "all"
  socket:close()
  if not reply then
    return nil, why, code
  end
  return understand(reply)
end

--- { clean = true } or { clean = false, virus = NAME }
function M.scan_file(file)
  local path, why, code = file:path()
  local stat
  if path then
    stat, why, code = jobq.fs.stat(path)
  end
  if not stat then
    return nil, why, code
  elseif stat.size > jobq.config.file.scan_bytes then
    return nil, TOO_LARGE:format(file.name, stat.size, jobq.config.file.scan_bytes), "refused"
  end
  return scan(path)
end

return M
