--- Small copies of one image, each size in each format.
local jobq = require "jobq"
local image = require "lib.file.image"

local M = {}

local function put(file, from, name, format)
  local put_there, why, code = file.storage:put(from, name, "image/" .. format)
  local size
  if put_there then
    size, why, code = image.size(from)
  end
  return size and { path = name, format = format, width = size.width, height = size.height },
    why, code
end

--- One of them, as { path, format, width, height }.
local function make(file, size, format)
  local name = ("%s/%s/%d.%s"):format(
    jobq.config.file.thumbnails, file.name, size, image.suffix(format))
  return file:with(function(path, folder)
    local small, why, code = image.thumbnail(path, size, format, folder)
    if not small then
      return nil, why, code
    end
    return put(file, small, name, format)
  end)
end

--- Each is a step of its own: after a crash it goes on behind the last.
function M.make(job, file, sizes, formats)
  local all = jobq.json.array {}
  for _, size in ipairs(sizes) do
    for _, format in ipairs(formats) do
      local one, why, code = jobq.step("thumbnail", ("%d %s"):format(size, format), function()
        return make(file, size, format)
      end)
      if not one then
        return nil, why, code
      end
      all[#all + 1] = one
      job:progress(#all / (#sizes * #formats), one.path)
    end
  end
  return all
end

return M
