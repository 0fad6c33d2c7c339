--- One file or folder, compressed, a block at a time.
local jobq = require "jobq"
local need = require "lib.file.need"

local M = {}

local SUFFIXES = { zstd = ".zst", gzip = ".gz" }
local HIGHEST = { zstd = 19, gzip = 9 }

--- A tar of the folder, its links as links; the names within begin with that of the folder.
local function archive(file)
  local folder, path = file:path(), file:folder() .. "/archive.tar"
  need(jobq.process.run({
    "tar", "--create", "--file", path, "--sort=name", "--numeric-owner",
    "--directory", folder:match "^(.*)/" .. "/", "--", folder:match "[^/]*$",
  }, { memory = jobq.config.file.memory, file_size = jobq.config.file.max_bytes }))
  return path
end

local function report(sizes, target)
  local ratio = sizes.bytes_out / math.max(sizes.bytes_in, 1)
  return {
    bytes_in = sizes.bytes_in, bytes_out = sizes.bytes_out, target = target,
    ratio = math.floor(ratio * 1000 + 0.5) / 1000,
  }
end

--- A file of lib/file/stored.lua by the arguments target, format and level.
function M.compress(file, args)
  if args.level > HIGHEST[args.format] then
    error(jobq.discard(("level %d is not one of %s\nhint: 1 to %d"):format(
      args.level, args.format, HIGHEST[args.format])))
  end
  local is_folder = file:stat().type == "dir"
  local from = is_folder and archive(file) or file:path()
  local target = args.target
    or file.name .. (is_folder and ".tar" or "") .. SUFFIXES[args.format]
  local sizes = file:make(target, function(to)
    return jobq.compress.compress_file(from, to, { format = args.format, level = args.level })
  end)
  return report(sizes, target)
end

return M
