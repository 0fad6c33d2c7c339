--- What a file is, before anything of it is opened. What is not taken ends the run for good.
local jobq = require "jobq"
local image = require "lib.file.image"
local need = require "lib.file.need"
local type_of = require "lib.file.type"

local M = {}

local OTHER_NAME = "%s is %s by its content, its name says %s"
local OTHER_TYPE = "%s is %s, expected %s\nhint: the setting file.accept"
local TOO_LARGE = "%s has %d x %d pixels%s, more than %d\nhint: the setting file.max_pixels"

local function refuse(text, ...)
  error(jobq.discard(text:format(...)))
end

local function check_type(name, content_type)
  local promised, accept = type_of.promised(name), jobq.config.file.accept
  if promised and promised ~= content_type then
    refuse(OTHER_NAME, name, content_type, promised)
  elseif not type_of.is_in(content_type, accept) then
    refuse(OTHER_TYPE, name, content_type, table.concat(accept, " or "))
  end
end

local function check_pixels(name, size)
  local max = jobq.config.file.max_pixels
  if size.width * size.height * size.pages > max then
    local pages = size.pages > 1 and (" on %d pages"):format(size.pages) or ""
    refuse(TOO_LARGE, name, size.width, size.height, pages, max)
  end
end

--- content_type; of an image width, height and pages, too.
function M.look(file)
  local content_type = type_of.of(need(jobq.fs.read(file:path(), { length = type_of.BYTES })))
  check_type(file.name, content_type)
  local known = image.is_one(content_type) and image.size(file) or {}
  if known.width then
    check_pixels(file.name, known)
  end
  known.content_type = content_type
  return known
end

--- What is there now: bytes, sha256, and of an image width and height.
function M.measure(file, content_type)
  local known = image.is_one(content_type) and image.size(file) or {}
  return {
    sha256 = need(jobq.crypto.hash_file("sha256", file:path(), "hex")), bytes = file:stat().size,
    width = known.width, height = known.height,
  }
end

return M
