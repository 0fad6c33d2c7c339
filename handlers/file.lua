--- Files. Paths are below the setting file.root, or names in a bucket (file.storage); what else can
--- be set is in config.lua, how each thing is done in lib/file and lib/storage.
---
--- Every kind may be run again at any point: what it writes has the same name each time, and is
--- there whole or not at all.
local jobq = require "jobq"
local clamd = require "lib.file.clamd"
local image = require "lib.file.image"
local inspect = require "lib.file.inspect"
local pack = require "lib.file.pack"
local stored = require "lib.file.stored"
local thumbnails = require "lib.file.thumbnails"
local upload = require "lib.file.upload"

local PATH = { "string", min = 1, max = 4096, summary = "as uploads/ann/photo.jpg" }

--- Codes that another attempt cannot mend.
local PERMANENT = { ENOENT = true, http_403 = true, outside = true, refused = true }

local function ended(result, why, code)
  if result then
    return jobq.done(result)
  elseif PERMANENT[code] then
    return jobq.discard(why)
  end
  return nil, why, code -- tried again later
end

---- the steps of an upload: each gives what it has found out of the file ----

local STEPS = { "look", "scan", "clean", "measure" }
local step = {}

step.look = inspect.look

--- Nothing is clean that no scanner has said to be clean.
function step.scan(file)
  if not jobq.config.file.scan then
    return { scanned = false }
  end
  return clamd.scan_file(file)
end

--- An image is turned as it is to be seen, and loses what it says of whoever took it.
function step.clean(file, known)
  if not image.is_one(known.content_type) then
    return {}
  end
  return file:with(function(path, folder)
    local clean, why, code = image.clean(path, known.content_type, known.pages, folder)
    if not clean then
      return nil, why, code
    end
    return file:replace(clean, known.content_type)
  end)
end

function step.measure(file, known)
  return inspect.measure(file, known.content_type)
end

--- Does one of them, once in the life of the job, and adds what it found to what is known.
local function take(job, name, file, known)
  local found, why, code = jobq.step(name, function() return step[name](file, known) end)
  if not found then
    return nil, why, code
  end
  for key, value in pairs(type(found) == "table" and found or {}) do
    known[key] = value
  end
  job.log:info(name, known)
  return true
end

local function quarantine(job, file, known)
  local name = ("%s/%s"):format(jobq.config.file.quarantine, file.name)
  job.log:warn("infected", { path = file.name, virus = known.virus, moved_to = name })
  local moved, why, code = jobq.step("quarantine", function()
    return file.storage:move(file.name, name)
  end)
  known.status, known.quarantine = "quarantined", name
  return moved and known, why, code
end

local function add_thumbnails(job, file, known)
  if not image.is_one(known.content_type) then
    return known
  end
  local settings = jobq.config.file
  local why, code
  known.thumbnails, why, code = thumbnails.make(job, file, settings.sizes, settings.formats)
  return known.thumbnails and known, why, code
end

local function process(job, file)
  local known = { status = "ready" }
  for _, name in ipairs(STEPS) do
    local fine, why, code = take(job, name, file, known)
    if not fine then
      return nil, why, code
    elseif known.virus then
      return quarantine(job, file, known)
    end
  end
  return add_thumbnails(job, file, known)
end

local function record(job, facts)
  return jobq.step("record", function() return upload.record(job.args.upload, facts) end)
end

--- A file that is not taken is said to be so in its row, too.
local function conclude(job, known, why, code)
  local facts = known or PERMANENT[code] and { status = "refused" }
  if facts then
    local kept, problem, problem_code = record(job, facts)
    if not kept then
      return nil, problem, problem_code
    end
  end
  return known, why, code
end

local function process_upload(job)
  local name, why, code = upload.path(job.args.upload)
  if not name then
    return nil, why, code
  end
  local file <close> = stored.new(job, name)
  local known
  known, why, code = process(job, file)
  return conclude(job, known, why, code)
end

---- the other kinds ----

local function make_thumbnails(job)
  local file <close> = stored.new(job, job.args.path)
  local known, why, code = inspect.look(file)
  if not known then
    return nil, why, code
  elseif not image.is_one(known.content_type) then
    return nil, ("%s is %s, expected an image"):format(file.name, known.content_type), "refused"
  end
  local settings, args = jobq.config.file, job.args
  return thumbnails.make(job, file, args.sizes or settings.sizes, args.formats or settings.formats)
end

local function scan(job)
  local file <close> = stored.new(job, job.args.path)
  local found, why, code = jobq.step("scan", function() return clamd.scan_file(file) end)
  if found and found.virus then
    return quarantine(job, file, found)
  end
  return found, why, code
end

local function compress(job)
  local file <close> = stored.new(job, job.args.path)
  return pack.compress(file, job.args)
end

return {
  process_upload = {
    summary = "check, scan, clean and measure an upload, make thumbnails, fill in its row",
    queue = "file",
    timeout = 3600, -- 5 GB are scanned and hashed
    max_attempts = 12, -- over an hour, with growing pauses: a scanner that is away comes back
    args = { upload = { "integer", min = 1, summary = "the id of its row" } },

    run = function(job)
      return ended(process_upload(job))
    end,
  },

  thumbnails = {
    summary = "small copies of one image, each size in each format",
    queue = "file",
    timeout = 600,
    max_attempts = 5, -- a full disk may pass; a broken image is given up at once
    args = {
      path = PATH,
      sizes = {
        "array?", min = 1, max = 10, items = { "integer", min = 1, max = 10000 },
        summary = "pixels of the longer side; default: the setting file.sizes",
      },
      formats = {
        "string[]?", min = 1, max = 3, enum = { "jpeg", "webp", "avif" },
        summary = "default: the setting file.formats",
      },
    },

    run = function(job)
      return ended(make_thumbnails(job))
    end,
  },

  scan = {
    summary = "look for viruses in one file; an infected one is moved into quarantine",
    queue = "file",
    timeout = 3600,
    max_attempts = 12, -- as of process_upload
    args = { path = PATH },

    run = function(job)
      return ended(scan(job))
    end,
  },

  compress = {
    summary = "compress one file, or a folder as one archive",
    queue = "file",
    timeout = 3600, -- gzip needs about 3 minutes for 5 GB
    args = {
      path = PATH,
      target = { "string?", min = 1, max = 4096, summary = "default: path and .zst, .tar.gz, ..." },
      format = { "string", enum = { "zstd", "gzip" }, default = "zstd" },
      level = { "integer", min = 1, max = 19, default = 3, summary = "of gzip at most 9" },
    },

    run = function(job)
      return ended(compress(job))
    end,
  },
}
