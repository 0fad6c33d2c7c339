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

---- the steps of an upload: each gives what it has found out ----

local STEPS = { "look", "scan", "clean", "measure" }
local step = {}

step.look = inspect.look

--- Nothing is clean that no scanner has said to be clean.
function step.scan(file)
  return jobq.config.file.scan and clamd.scan(file) or { scanned = false }
end

--- An image is turned as it is to be seen, and loses what it says of whoever took it.
function step.clean(file, known)
  if image.is_one(known.content_type) then
    local clean = image.clean(file, known.content_type, known.pages)
    file:replace(clean, known.content_type)
  end
  return {}
end

function step.measure(file, known)
  return inspect.measure(file, known.content_type)
end

--- Does one of them, once in the life of the job, and adds what it found to what is known.
local function take(job, name, file, known)
  local found = jobq.step(name, function() return step[name](file, known) end)
  for key, value in pairs(found) do
    known[key] = value
  end
  job.log:info(name, found)
end

local function quarantine(job, file, known)
  known.status = "quarantined"
  known.quarantine = ("%s/%s"):format(jobq.config.file.quarantine, file.name)
  job.log:warn("infected", { path = file.name, virus = known.virus, to = known.quarantine })
  jobq.step("quarantine", function() return file:move(known.quarantine) end)
  return known
end

local function process(job, file)
  local known, settings = { status = "ready" }, jobq.config.file
  for i, name in ipairs(STEPS) do
    take(job, name, file, known)
    if known.virus then
      return quarantine(job, file, known)
    end
    job:progress(i / #STEPS / 2, name)
  end
  if image.is_one(known.content_type) then
    known.thumbnails = thumbnails.make(job, file, settings.sizes, settings.formats, 0.5)
  end
  return known
end

local function record(job, facts)
  jobq.step("record", function()
    upload.record(job.args.upload, facts)
    return true
  end)
end

--- The row says so, too, when a file is not taken.
local function process_or_refuse(job, file)
  local ok, known = pcall(process, job, file)
  if not ok then
    if type(known) == "table" and known.verdict == "discard" then
      record(job, { status = "refused" })
    end
    error(known, 0)
  end
  return known
end

return {
  process_upload = {
    summary = "check, scan, clean and measure an upload, make thumbnails, fill in its row",
    queue = "file",
    timeout = 3600, -- 5 GB are scanned and hashed
    max_attempts = 12, -- over an hour, with growing pauses: a scanner that is away comes back
    args = { upload = { "integer", min = 1, summary = "the id of its row" } },

    run = function(job)
      local file <close> = stored.new(job, upload.path(job.args.upload))
      local known = process_or_refuse(job, file)
      record(job, known)
      return jobq.done(known)
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
      local file <close> = stored.new(job, job.args.path)
      local known, settings = inspect.look(file), jobq.config.file
      if not image.is_one(known.content_type) then
        return jobq.discard(("%s is %s, expected an image"):format(file.name, known.content_type))
      end
      return jobq.done(thumbnails.make(job, file, job.args.sizes or settings.sizes,
        job.args.formats or settings.formats, 0))
    end,
  },

  scan = {
    summary = "look for viruses in one file; an infected one is moved into quarantine",
    queue = "file",
    timeout = 3600,
    max_attempts = 12, -- as of process_upload
    args = { path = PATH },

    run = function(job)
      local file <close> = stored.new(job, job.args.path)
      local found = jobq.step("scan", function() return clamd.scan(file) end)
      return jobq.done(found.virus and quarantine(job, file, found) or found)
    end,
  },

  compress = {
    summary = "compress one file, or a folder as one archive",
    queue = "file",
    timeout = 3600, -- gzip needs about 3 minutes for 5 GB
    max_attempts = 5, -- a full disk may pass
    args = {
      path = PATH,
      target = { "string?", min = 1, max = 4096, summary = "default: path and .zst, .tar.gz, ..." },
      format = { "string", enum = { "zstd", "gzip" }, default = "zstd" },
      level = { "integer", min = 1, max = 19, default = 3, summary = "of gzip at most 9" },
    },

    run = function(job)
      local file <close> = stored.new(job, job.args.path)
      return jobq.done(pack.compress(file, job.args))
    end,
  },
}
