--- What is old goes: files, rows of the application, the queue's own past. All of it may be tried
--- with dry_run first, and begun again at any time: what has gone is gone, the rest follows.
--- Settings: the group cleanup in config.lua.
local days = require "lib.cleanup.days"
local files = require "lib.cleanup.files"
local jobq = require "jobq"
local rows = require "lib.cleanup.rows"

local DAY = 86400 -- seconds
local WORKERS_KEEP = 7 -- days: what they have finished for longer they drop, each hour

--- Locks pass, a database that is away comes back: no hurry, the next night comes anyway.
local function retry_delay(attempt)
  return math.min(60 * 2 ^ (attempt - 1), 3600)
end

local function kind(fields)
  fields.queue, fields.max_attempts, fields.retry_delay = "cleanup", 5, retry_delay
  fields.timeout = fields.timeout or 3600
  fields.args.dry_run = { "boolean", default = false, summary = "only counts" }
  return fields
end

local function days_of(default, summary)
  return { "number", min = 0, default = default, summary = "days " .. summary }
end

local function archives(summary)
  return { "boolean", default = false, summary = summary }
end

--- name: of the settings for a table. time, unless: what those for its columns end with.
local function sweep_rows(job, name, time, unless)
  local settings, args = jobq.config.cleanup, job.args
  return rows.sweep(job, {
    kind = job.kind, setting = "cleanup." .. name, table = settings[name],
    key = settings[name .. "_key"], time = settings[name .. "_" .. time],
    unless = unless and settings[name .. "_" .. unless],
    older_than = args.days * DAY, archive = args.archive, dry_run = args.dry_run,
  })
end

return {
  files = kind {
    summary = "remove old files below cleanup.root",
    schedule = "10 3 * * *",
    args = {
      days = days_of(30, "since they were written"),
      min_bytes = { "integer", min = 0, default = 0, summary = "only files of that size and up" },
      pattern = { "string", min = 1, default = "*", summary = "of names: *.tmp, photo-?.jpg" },
      folders = { "boolean", default = true, summary = "old folders that are empty go, too" },
      archive = archives "compressed copies are kept",
    },
    run = function(job)
      local root = jobq.config.cleanup.root
      if not root then
        job.log:info "the setting cleanup.root is not set: there is nothing to do"
        return jobq.done { skipped = true }
      end
      return files.sweep(job, root, job.args)
    end,
  },

  invites = kind {
    summary = "delete invitations that nobody has taken in time",
    schedule = "20 3 * * *",
    args = {
      days = days_of(7, "since they expired"),
      archive = archives "rows are kept as lines of JSON",
    },
    run = function(job)
      return sweep_rows(job, "invites", "expiry", "taken")
    end,
  },

  audit_logs = kind {
    summary = "delete old entries of the audit log",
    schedule = "30 3 * * *",
    args = {
      days = days_of(365, "since they were written"),
      archive = archives "rows are kept as lines of JSON",
    },
    run = function(job)
      return sweep_rows(job, "audit_logs", "time")
    end,
  },

  job_logs = kind {
    summary = "drop days of job logs that are past their time",
    schedule = "40 3 * * *",
    args = { days = days_of(7, "that logs are kept") },
    run = function(job)
      local past = days.past("jobq.job_log", job.args.days * DAY)
      job.log:info("past their time", past)
      if job.args.dry_run then
        return jobq.done(past)
      end
      local dropped = days.drop(7 * DAY, 90 * DAY, job.args.days * DAY)
      return jobq.done { days = dropped, bytes = past.bytes }
    end,
  },

  jobs = kind {
    summary = "drop days of finished jobs that are past their time",
    schedule = "50 3 * * *",
    args = {
      days = days_of(7, "that completed jobs are kept"),
      failed_days = days_of(90, "that failed and cancelled ones are"),
      archive = archives "completed jobs are kept as lines of JSON",
    },
    run = function(job)
      local args = job.args
      local keep = args.days * DAY
      if args.archive and args.days >= WORKERS_KEEP then
        return jobq.discard "days: with archive fewer than 7 are expected: workers drop the rest"
      end
      local past = days.past("jobq.finished_completed", keep)
      job.log:info("past their time", past)
      if args.dry_run then
        return jobq.done(past)
      end
      local kept = args.archive and days.keep_jobs(job, keep) or 0
      local dropped = days.drop(keep, args.failed_days * DAY, 7 * DAY)
      return jobq.done { days = dropped, bytes = past.bytes, archived = kept }
    end,
  },
}
