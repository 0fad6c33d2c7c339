--- Small copies of one image, each size in each format.
local jobq = require "jobq"
local image = require "lib.file.image"

local M = {}

--- One of them, as { path, format, width, height }.
local function make(file, size, format)
  local path, seen = image.thumbnail(file, size, format)
  local name = ("%s/%s/%d.%s"):format(
    jobq.config.file.thumbnails, file.name, size, image.suffix(format))
  file:put(path, name, "image/" .. format)
  return { path = name, format = format, width = seen.width, height = seen.height }
end

--- Each is a step of its own: after a crash it goes on behind the last. before: the part of the
--- work that is done already, 0 to 1.
function M.make(job, file, sizes, formats, before)
  local all = jobq.json.array {}
  for _, size in ipairs(sizes) do
    for _, format in ipairs(formats) do
      all[#all + 1] = jobq.step("thumbnail", ("%d %s"):format(size, format), function()
        return make(file, size, format)
      end)
      job:progress(before + (1 - before) * #all / (#sizes * #formats), all[#all].path)
    end
  end
  return all
end

return M
