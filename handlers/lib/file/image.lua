--- Images, by the programs of libvips (Debian: libvips-tools), each in a process of its own, with
--- limits. They read stdin, so no name of a file means anything to them. A failure ends the run.
local jobq = require "jobq"

local M = {}

local HINT = "\nhint: images need the programs of libvips, on Debian: apt-get install libvips-tools"

--- What can be processed, how its cleaned copy is named, and how that is written.
local TYPES = {
  ["image/jpeg"] = "jpg[Q=90,strip,optimize-coding]",
  ["image/png"] = "png[strip]",
  ["image/gif"] = "gif[strip]",
  ["image/webp"] = "webp[Q=90,strip]",
  ["image/avif"] = "avif[Q=75,strip,effort=2]",
  ["image/heic"] = "heic[Q=75,strip]",
  ["image/tiff"] = "tif[strip,compression=deflate]",
}

--- Thumbnails: small, and white where a JPEG cannot be transparent.
local FORMATS = {
  jpeg = "jpg[Q=82,strip,optimize-coding,interlace,background=255]",
  webp = "webp[Q=80,strip]",
  avif = "avif[Q=60,strip,effort=2]",
}

local SUFFIXES = { jpeg = "jpg", webp = "webp", avif = "avif" }

--- Not of the image: the next attempt may have more room.
local PASSING = { "[Ww]rite", "[Nn]o space", "[Mm]emory", "[Tt]oo many open files" }

local function fail(name, stderr)
  local last = stderr:match("([^\n]+)\n*$") or "no reason given"
  for _, pattern in ipairs(PASSING) do
    if stderr:find(pattern) then
      error(jobq.retry(last))
    end
  end
  error(jobq.discard(("%s is not a sound image: %s"):format(name, last)))
end

--- What it prints; path is the file, or what was made of it.
local function vips(file, path, words, cwd)
  local settings = jobq.config.file
  local result, why, code, run = jobq.process.run(words, {
    stdin_file = path, cwd = cwd, memory = settings.memory, timeout = settings.image_seconds,
    cpu_seconds = settings.image_seconds, file_size = settings.max_bytes,
    env = { VIPS_CONCURRENCY = "1", VIPS_BLOCK_UNTRUSTED = "1", VIPS_WARNING = "0", TMPDIR = cwd },
  })
  if result then
    return result.stdout
  elseif code == "ENOENT" and not run then
    error(jobq.retry(why .. HINT))
  elseif code:find "^exit_" then
    fail(file.name, run.stderr)
  end
  error(jobq.retry(why))
end

function M.is_one(content_type)
  return TYPES[content_type] ~= nil
end

local function swap_if_turned(size, orientation)
  if orientation >= 5 then -- EXIF: lies on its side
    size.width, size.height = size.height, size.width
  end
  return size
end

local function size_of(file, path)
  local text = "\n" .. vips(file, path, { "vipsheader", "-a", "stdin" })
  local function field(name)
    return math.tointeger(tonumber(text:match("\n" .. name .. ": (%d+)")))
  end
  local size = { width = field "width", height = field "height", pages = field "n%-pages" or 1 }
  return swap_if_turned(size, field "orientation" or 1)
end

--- From the header, nothing is decoded: width and height as they are seen, and pages.
function M.size(file)
  return size_of(file, file:path())
end

--- The path of a new image in the scratch folder. output: "thumbnail.jpg[strip]"
local function write(file, input, size, output)
  local folder = file:folder()
  vips(file, file:path(), {
    "vipsthumbnail", input, "--size", size, "--export-profile", "srgb", "--output", output,
  }, folder)
  return ("%s/%s"):format(folder, output:match "^[^%[]*")
end

--- A copy that is turned as it is to be seen, in sRGB, and says nothing of whoever took it.
function M.clean(file, content_type, pages)
  local input = pages > 1 and "stdin[fail_on=error,n=-1]" or "stdin[fail_on=error]"
  return write(file, input, "10000000x10000000>", "cleaned." .. TYPES[content_type])
end

--- Fits into a square of size pixels; what is smaller stays as it is. Its path and its size.
function M.thumbnail(file, size, format)
  local path = write(file, "stdin[fail_on=error]", ("%dx%d>"):format(size, size),
    "thumbnail." .. FORMATS[format])
  return path, size_of(file, path)
end

function M.suffix(format)
  return SUFFIXES[format]
end

return M
