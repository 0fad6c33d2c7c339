--- Files. Paths are below the setting file.root, by default the folder that the worker started in.
local jobq = require "jobq"

local function compress(args)
  local root = jobq.config("file.root", ".")
  local from, to, why, code
  from, why, code = jobq.fs.below(root, args.path)
  if not from then
    return nil, why, code
  end
  to, why, code = jobq.fs.below(root, args.target or args.path .. ".zst")
  if not to then
    return nil, why, code
  end
  return jobq.compress.compress_file(from, to, { format = args.format, level = args.level })
end

return {
  compress = {
    summary = "compress one file",
    queue = "file",
    args = {
      path = { "string", min = 1, max = 4096 },
      target = { "string?", min = 1, max = 4096, summary = "default: path and .zst" },
      format = { "string", enum = { "zstd" }, default = "zstd" },
      level = { "integer", min = 1, max = 19, default = 3 },
    },

    run = function(job)
      local sizes, why, code = compress(job.args)
      if code == "ENOENT" or code == "outside" then
        return jobq.discard(why) -- another attempt would fail as well
      elseif not sizes then
        return nil, why, code -- tried again later
      end
      local ratio = sizes.bytes_out / math.max(sizes.bytes_in, 1)
      return jobq.done {
        bytes_in = sizes.bytes_in,
        bytes_out = sizes.bytes_out,
        ratio = math.floor(ratio * 1000 + 0.5) / 1000,
      }
    end,
  },
}
