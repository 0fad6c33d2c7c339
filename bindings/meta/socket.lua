---@meta jobq.socket
error("meta files are read by editors, never loaded")

--- Byte streams over TCP and Unix sockets, without TLS: jobq.http and jobq.smtp have that.
---@class jobq.socket
local socket = {}

--- Closed at the latest when the run ends. On failure: nil, "HOST:PORT: why", and an errno, "timeout",
--- "closed" or "too_large". Each method but close waits; after a write that failed it is closed.
---@class jobq.Socket
---@field read fun(self: jobq.Socket, what: integer|"line"|"all", options?: { limit?: integer|string, timeout?: number }): string?, string?, string? limit: bytes of a line or of all, default 1 MiB; lines come without their end
---@field write fun(self: jobq.Socket, text: string, options?: { timeout?: number }): true?, string?, string?
---@field shutdown fun(self: jobq.Socket, options?: { timeout?: number }): true?, string?, string? the other side sees the end
---@field close fun(self: jobq.Socket)

--- To host and port, or to the path of a Unix socket. The timeout is also that of its methods.
---@async
---@param options { host?: string, port?: integer, path?: string, timeout?: number } default 30 seconds
---@return jobq.Socket?
---@return string? message
---@return string? code
function socket.connect(options) end

return socket
