--- Images, by the programs of libvips (Debian: libvips-tools), each in a process of its own, with
--- limits. They read from stdin, so no name of a file means anything to them.
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

local function explain(stderr)
  local last = stderr:match("([^\n]+)\n*$") or "no reason given"
  for _, pattern in ipairs(PASSING) do
    if stderr:find(pattern) then
      return nil, last
    end
  end
  return nil, "not a sound image: " .. last, "refused"
end

local function vips(words, path, cwd)
  local settings = jobq.config.file
  local result, why, code, run = jobq.process.run(words, {
    stdin_file = path, cwd = cwd, memory = settings.memory, timeout = settings.image_seconds,
    cpu_seconds = settings.image_seconds, file_size = settings.max_bytes,
    env = { VIPS_CONCURRENCY = "1", VIPS_BLOCK_UNTRUSTED = "1", VIPS_WARNING = "0", TMPDIR = cwd },
  })
  if result then
    return result.stdout
  elseif code == "ENOENT" and not run then
    return nil, why .. HINT
  elseif code:find "^exit_" then
    return explain(run.stderr)
  end
  return nil, why, code
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

--- From the header, nothing is decoded: width and height as they are seen, and pages.
function M.size(path)
  local text, why, code = vips({ "vipsheader", "-a", "stdin" }, path)
  if not text then
    return nil, why, code
  end
  local function field(name)
    return math.tointeger(tonumber(text:match("\n" .. name .. ": (%d+)")))
  end
  text = "\n" .. text
  local size = { width = field "width", height = field "height", pages = field "n%-pages" or 1 }
  return swap_if_turned(size, field "orientation" or 1)
end

--- A copy that is turned as it is to be seen, in sRGB, and says nothing of whoever took it.
function M.clean(path, content_type, pages, cwd)
  local output = "cleaned." .. TYPES[content_type]
  local input = pages > 1 and "stdin[fail_on=error,n=-1]" or "stdin[fail_on=error]"
  local fine, why, code = vips({
    "vipsthumbnail", input, "--size", "10000000x10000000>", "--export-profile", "srgb",
    "--output", output,
  }, path, cwd)
  return fine and ("%s/%s"):format(cwd, output:match("^[^%[]*")), why, code
end

--- Fits into a square of size pixels; what is smaller stays as it is.
function M.thumbnail(path, size, format, cwd)
  local output = "thumbnail." .. FORMATS[format]
  local fine, why, code = vips({
    "vipsthumbnail", "stdin[fail_on=error]", "--size", ("%dx%d>"):format(size, size),
    "--export-profile", "srgb", "--output", output,
  }, path, cwd)
  return fine and ("%s/%s"):format(cwd, output:match("^[^%[]*")), why, code
end

function M.suffix(format)
  return SUFFIXES[format]
end

return M
