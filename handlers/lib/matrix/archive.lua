--- A folder as one archive (.tar.zst) with a manifest. tar is run for it: names in any language and
--- files of any size are its trade.
local jobq = require "jobq"

local M = {}

local FORMAT = 1 -- of the manifest

--- Calls visit(name, path, bytes) for each file, in order; one folder's names at a time are held.
local function walk(root, visit, inside)
  for _, name in ipairs(jobq.must(jobq.fs.list(root .. (inside or "")))) do
    local below = (inside or "") .. "/" .. name
    local stat = jobq.must(jobq.fs.stat(root .. below))
    if stat.type == "dir" then
      walk(root, visit, below)
    else
      visit(below:sub(2), root .. below, stat.size)
    end
  end
end

local function describe(name, path, bytes)
  return jobq.json.encode {
    path = name,
    bytes = bytes,
    sha256 = jobq.must(jobq.crypto.hash_file("sha256", path, "hex")),
  }
end

--- manifest.json: what head says, and path, bytes and sha256 of each file. It is written piece by
--- piece, since there may be many files.
local function write_manifest(folder, head)
  local path, count = folder .. "/manifest.json", 0
  jobq.must(jobq.fs.remove(path))
  head.format = FORMAT
  local start = jobq.json.encode(head):sub(1, -2) .. ',"files":[\n'
  local rest = folder .. "/../manifest"
  jobq.must(jobq.fs.write(rest, start))
  walk(folder, function(name, file, bytes)
    jobq.must(jobq.fs.append(rest, (count > 0 and ",\n" or "") .. describe(name, file, bytes)))
    count = count + 1
  end)
  jobq.must(jobq.fs.append(rest, "\n]}\n"))
  jobq.must(jobq.fs.rename(rest, path))
  return count
end

local function pack(scratch, name, tar)
  return jobq.must(jobq.process.run({
    "tar", "--create", "--file", tar, "--directory", scratch, "--format=posix", "--sort=name",
    "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=", "--", name,
  }, { memory = "512M", timeout = 3600 }))
end

--- Makes `path` of scratch/name; it appears whole or not at all.
function M.make(scratch, name, path, head)
  local files = write_manifest(scratch .. "/" .. name, head)
  local tar = scratch .. "/tar"
  pack(scratch, name, tar)
  local sizes = jobq.must(jobq.compress.compress_file(tar, path))
  return { path = path, bytes = sizes.bytes_out, files = files }
end

return M
