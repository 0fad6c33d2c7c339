--- One file or folder, compressed, a block at a time.
local jobq = require "jobq"

local M = {}

local SUFFIXES = { zstd = ".zst", gzip = ".gz" }

local HIGHEST = { zstd = 19, gzip = 9 }

local function run(words, options)
  options.memory, options.file_size = jobq.config.file.memory, jobq.config.file.max_bytes
  return jobq.process.run(words, options)
end

--- A tar of the folder, its links as links; the names within begin with that of the folder.
local function archive(folder, scratch)
  local place, why, code = scratch:folder()
  local path, fine = (place or "") .. "/archive.tar", nil
  if place then
    fine, why, code = run({
      "tar", "--create", "--file", path, "--sort=name", "--numeric-owner",
      "--directory", folder:match("^(.*)/") .. "/", "--", folder:match("[^/]*$"),
    }, {})
  end
  return fine and path, why, code
end

--- What is to be packed, and what its name gets: a folder is made a tar first.
local function source(file)
  local path, why, code = file:path()
  local stat
  if path then
    stat, why, code = jobq.fs.stat(path)
  end
  if not stat then
    return nil, why, code
  elseif stat.type ~= "dir" then
    return path, ""
  end
  path, why, code = archive(path, file.scratch)
  return path, path and ".tar" or why, code
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
    return nil, ("level %d is not one of %s\nhint: 1 to %d"):format(
      args.level, args.format, HIGHEST[args.format]), "refused"
  end
  local from, suffix, code = source(file)
  if not from then
    return nil, suffix, code
  end
  local target = args.target or file.name .. suffix .. SUFFIXES[args.format]
  local made, why
  made, why, code = file:make(target, function(to)
    return jobq.compress.compress_file(from, to, { format = args.format, level = args.level })
  end)
  return made and report(made, target), why, code
end

return M
