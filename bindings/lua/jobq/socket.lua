--- jobq.socket: byte streams over TCP and Unix sockets.
local core = require "jobq.core"
local checked = require "jobq.options"
local strict = require "jobq.strict"

local M = {}

local TIMEOUT = 30 -- seconds
local LIMIT = 1 << 20 -- bytes of a line, or of all

local CONNECT = { host = "string", path = "path", port = "port", timeout = "seconds" }
local READ = { limit = "bytes", timeout = "seconds" }
local WRITE = { timeout = "seconds" }

local Socket = { __name = "jobq.socket", __metatable = false }
Socket.__index = Socket

local function handle_of(where, self)
  local handle = getmetatable(self) == false and rawget(self, "handle")
  if not handle then
    checked.misuse("%s: expected a socket, got %s\nhint: write a colon", where, checked.show(self))
  end
  return handle
end

--- Failures name the other side.
local function answer(self, value, message, code)
  if not value then
    return nil, ("%s: %s"):format(self.name, message), code
  end
  return value
end

local function check_address(options)
  checked.check("jobq.socket.connect", options, CONNECT)
  local is_path, is_host = options.path ~= nil, options.host ~= nil
  if is_path == is_host or is_host ~= (options.port ~= nil) then
    checked.misuse "jobq.socket.connect: expected host and port, or path"
  elseif is_host and (options.host == "" or options.host:find "[%c%s]") then
    checked.misuse("jobq.socket.connect: host: %s is not the name of a host",
      checked.show(options.host))
  end
end

--- Connects to a host and port, or to the path of a Unix socket.
function M.connect(options)
  check_address(options or {})
  local address, port = options.path or options.host, options.port and ("%d"):format(options.port)
  local self = {
    name = address .. (port and ":" .. port or ""), timeout = options.timeout or TIMEOUT,
  }
  local handle, message, code = core.socket.connect(self.timeout, address, port)
  self.handle = handle
  return answer(self, handle and setmetatable(self, Socket), message, code)
end

--- A number of bytes; "line": up to a line end, which is left out; "all": up to the end.
function Socket:read(what, options)
  local handle = handle_of("socket:read", self)
  options = checked.check("socket:read", options, READ)
  if what ~= "line" and what ~= "all" and (math.type(what) ~= "integer" or what < 1) then
    checked.misuse("socket:read: expected a number of bytes, 'line' or 'all', got %s",
      checked.show(what))
  end
  local limit = checked.parse_bytes(options.limit or LIMIT)
  local size, message, code =
    core.socket.fill(options.timeout or self.timeout, handle, what, limit)
  if not size then
    return answer(self, nil, message, code)
  end
  local text = core.socket.take(handle, size)
  return what == "line" and text:gsub("\r?\n$", "", 1) or text
end

function Socket:write(text, options)
  local handle = handle_of("socket:write", self)
  options = checked.check("socket:write", options, WRITE)
  if type(text) ~= "string" then
    checked.misuse("socket:write: expected a string, got %s", checked.show(text))
  end
  return answer(self, core.socket.write(options.timeout or self.timeout, handle, text))
end

function Socket:shutdown(options)
  local handle = handle_of("socket:shutdown", self)
  options = checked.check("socket:shutdown", options, WRITE)
  return answer(self, core.socket.shutdown(options.timeout or self.timeout, handle))
end

function Socket:close()
  core.socket.close(handle_of("socket:close", self))
end

Socket.__close = Socket.close

return strict.close("jobq.socket", M)
