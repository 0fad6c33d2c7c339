---@meta jobq.compress
error("meta files are read by editors, never loaded")

--- Files of any size, a block at a time, off the loop.
---@class jobq.compress
local compress = {}

---@class jobq.compress.Sizes
---@field bytes_in integer
---@field bytes_out integer

--- `to` appears whole or not at all.
---@async
---@param from string
---@param to string
---@param options? { format?: "zstd"|"gzip", level?: integer } level of zstd 1 to 19, default 3, of gzip 1 to 9, default 6
---@return jobq.compress.Sizes?
---@return string? message
---@return string? code an errno
function compress.compress_file(from, to, options) end

---@async
---@param from string
---@param to string
---@param options? { format?: "zstd"|"gzip", max_bytes?: integer } of the result, default 1 GiB
---@return jobq.compress.Sizes?
---@return string? message
---@return string? code an errno, "corrupt" or "too_large"
function compress.decompress_file(from, to, options) end

return compress
