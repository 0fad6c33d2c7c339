--- Old files below a root. No link is followed, and nothing outside is reached: jobq.fs.walk.
local archive = require "lib.cleanup.archive"
local jobq = require "jobq"

local DAY = 86400 -- seconds

local M = {}

--- "*.tmp" as a Lua pattern: * is any text within a name, ? one byte.
local function to_pattern(glob)
  local pattern = glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", "[^/]*"):gsub("%?", "[^/]")
  return "^" .. pattern .. "$"
end

--- Says of an entry whether it is to go.
local function filter(args)
  local pattern, before = to_pattern(args.pattern), os.time() - args.days * DAY
  return function(entry)
    return entry.type == "file" and entry.mtime < before and entry.size >= args.min_bytes
      and entry.name:find(pattern) ~= nil
  end
end

local function remove(root, entry, args)
  if args.archive then
    archive.keep_file("cleanup.files", root .. "/" .. entry.path, entry.path)
  end
  jobq.must(jobq.fs.unlink(root, entry.path))
end

--- A folder that is not empty stays, and so does one that somebody may just have made.
local function is_done_with(root, entry, args)
  if not args.folders or entry.type ~= "dir" or entry.mtime >= os.time() - args.days * DAY then
    return false
  end
  local entries = jobq.fs.entries(root, entry.path)
  return entries ~= nil and #entries == 0
end

--- Counts, and unless it is a dry run, removes. A run that was cut goes on with what is left.
function M.sweep(job, root, args)
  local is_old = filter(args)
  local sum = { files = 0, bytes = 0, folders = 0, seen = 0 }
  jobq.must(jobq.fs.walk(root, function(entry)
    sum.seen = sum.seen + 1
    if is_old(entry) then
      sum.files, sum.bytes = sum.files + 1, sum.bytes + entry.size
      job.log:debug(args.dry_run and "would remove" or "removed", entry)
      return args.dry_run or remove(root, entry, args)
    elseif not args.dry_run and is_done_with(root, entry, args) then
      sum.folders = sum.folders + 1
      jobq.must(jobq.fs.unlink(root, entry.path))
    end
  end))
  sum.dry_run = args.dry_run
  job.log:info("swept", sum)
  return jobq.done(sum)
end

return M
