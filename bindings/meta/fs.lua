---@meta jobq.fs
error("meta files are read by editors, never loaded")

--- Files, off the loop. On failure: nil, "PATH: why", and the name of the errno ("ENOENT").
---@class jobq.fs
local fs = {}

---@class jobq.fs.Entry
---@field name string
---@field path string only of walk: from the root on
---@field type "file"|"dir"|"link"|"other"
---@field size integer bytes
---@field mtime number Unix seconds

---@class jobq.fs.Stat
---@field size integer bytes
---@field type "file"|"dir"|"other"
---@field mtime number Unix seconds

--- The whole file, or `length` bytes of it from `offset` on, fewer where it ends: for large ones.
---@async
---@param path string
---@param options? { max_bytes?: integer, offset?: integer, length?: integer } max_bytes: default 64 MiB; "EFBIG" above
---@return string? text
---@return string? message
---@return string? code
function fs.read(path, options) end

--- Replaces the file at once: nobody sees half of it, not even after a power cut.
---@async
---@param path string
---@param text string
---@return true?
---@return string? message
---@return string? code
function fs.write(path, text) end

---@async
---@param path string
---@param text string
---@return true?
---@return string? message
---@return string? code
function fs.append(path, text) end

--- Follows links.
---@async
---@param path string
---@return jobq.fs.Stat?
---@return string? message
---@return string? code
function fs.stat(path) end

---@async
---@param path string
---@return boolean?
---@return string? message
---@return string? code
function fs.exists(path) end

--- The names in a folder, in order.
---@async
---@param path string
---@return string[]?
---@return string? message
---@return string? code
function fs.list(path) end

--- With its parents. That it is there already is fine.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.make_dir(path) end

--- A file or an empty folder; with `recursive` all that is in it. That it is gone already is fine.
---@async
---@param path string
---@param options? { recursive?: boolean }
---@return true?
---@return string? message
---@return string? code
function fs.remove(path, options) end

---@async
---@param from string
---@param to string
---@return true?
---@return string? message
---@return string? code
function fs.rename(from, to) end

--- `to` appears whole or not at all.
---@async
---@param from string
---@param to string
---@return integer? bytes
---@return string? message
---@return string? code
function fs.copy(from, to) end

--- A new folder that only this user may enter. Remove it when you are done with it.
---@async
---@return string? path
---@return string? message
---@return string? code
function fs.temp_dir() end

--- The absolute path of `path` in `root`, links followed; its last part need not exist. For paths
--- that come from arguments: "outside" is the code when it is not below root.
---@async
---@param root string
---@param path string
---@return string? path
---@return string? message
---@return string? code
function fs.below(root, path) end

--- What is in the folder `path` below root, "." being the root itself; in order of their names. No
--- link below the root is followed, wherever in the path, and no "..": nothing outside is seen.
---@async
---@param root string
---@param path string
---@return jobq.fs.Entry[]?
---@return string? message
---@return string? code
function fs.entries(root, path) end

--- Calls f with all that is below root, a folder behind what is in it, without following links, with
--- one folder a level in memory. f may remove what it is given (unlink), and ends it with false.
---@async
---@param root string
---@param f fun(entry: jobq.fs.Entry): boolean?
---@return integer? count how many f was called with
---@return string? message
---@return string? code
function fs.walk(root, f) end

--- Removes the file, link or empty folder `path` below root, without following a link on the way.
--- That it is gone already is fine.
---@async
---@param root string
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.unlink(root, path) end

return fs
