--- What a file is, before anything of it is opened; "refused" is the code of what is not taken.
local jobq = require "jobq"
local image = require "lib.file.image"
local type_of = require "lib.file.type"

local M = {}

local function refuse(text, ...)
  return nil, text:format(...), "refused"
end

local function check_type(name, content_type)
  local promised, accept = type_of.promised(name), jobq.config.file.accept
  if promised and promised ~= content_type then
    return refuse("%s is %s by its content, its name says %s", name, content_type, promised)
  elseif not type_of.is_in(content_type, accept) then
    return refuse("%s is %s, expected %s\nhint: the setting file.accept", name, content_type,
      table.concat(accept, " or "))
  end
  return content_type
end

local function check_pixels(name, size)
  local max = jobq.config.file.max_pixels
  if size.width * size.height * size.pages > max then
    local pages = size.pages > 1 and (" on %d pages"):format(size.pages) or ""
    return refuse("%s has %d x %d pixels%s, more than %d\nhint: the setting file.max_pixels", name,
      size.width, size.height, pages, max)
  end
  return size
end

--- width, height and pages, from the header.
local function look_at_image(file, path)
  local size, why, code = image.size(path)
  if not size then
    return nil, code == "refused" and ("%s is %s"):format(file.name, why) or why, code
  end
  return check_pixels(file.name, size)
end

local function look_at_type(file, path)
  local content_type, why, code = type_of.of_file(path)
  if not content_type then
    return nil, why, code
  end
  return check_type(file.name, content_type)
end

--- content_type; of an image width, height and pages, too.
function M.look(file)
  local path, why, code = file:path()
  local content_type = path
  if path then
    content_type, why, code = look_at_type(file, path)
  end
  local known = content_type and {}
  if image.is_one(content_type) then
    known, why, code = look_at_image(file, path)
  end
  if not known then
    return nil, why, code
  end
  known.content_type = content_type
  return known
end

local function sum(path)
  local sha256, why, code = jobq.crypto.hash_file("sha256", path, "hex")
  if not sha256 then
    return nil, why, code
  end
  local stat
  stat, why, code = jobq.fs.stat(path)
  return stat and { sha256 = sha256, bytes = stat.size }, why, code
end

--- What is there now: bytes, sha256, and of an image width and height.
function M.measure(file, content_type)
  local path, why, code = file:path()
  local known, size = nil, {}
  if path then
    known, why, code = sum(path)
  end
  if known and image.is_one(content_type) then
    size, why, code = image.size(path)
  end
  if not known or not size then
    return nil, why, code
  end
  known.width, known.height = size.width, size.height
  return known
end

return M
