--- What was said of jobs beside how they run: until when they may begin, who waits for their end,
--- what people asked for while they waited.
local book_of = require "faults.book"

local M = {}

local LATE_S = 0.5 -- between the look at the time and the first line of the handler
local SNOOZE_S = 3 -- see faults.lua

local function began_late(book, run, expires)
  return run.at > expires + LATE_S and not book:was_disturbed(run, expires)
end

local function check_runs(book, job, expires, tell)
  for _, run in ipairs(book.runs[job.id] or {}) do
    if began_late(book, run, expires) then
      tell(job.id, ("%s began attempt %d of it %.2f s after it had expired"):format(
        run.worker, run.attempt, run.at - expires))
    end
  end
end

local function check_expired(book, job, expires, tell)
  if job.finished_at < expires - book_of.SLACK then
    tell(job.id, ("it expired %.2f s before its time"):format(expires - job.finished_at))
  end
  for _, run in ipairs(book.runs[job.id] or {}) do
    if not book:was_interrupted(run, job.finished_at) then
      tell(job.id, ("it expired, and %s ran attempt %d of it"):format(run.worker, run.attempt))
    end
  end
end

--- A job expires when its time is over and it has not begun; it begins no more after that. What was
--- put off or retried by hand has all of its time again.
function M.expired(book, tell)
  for _, request in ipairs(book.all.requests) do
    local id = request.job
    local job = request.expires_in and book:job(id)
    if job and job.finished_at and #book:asked(id, "retry") + #book:asked(id, "snooze") == 0 then
      local expires = request.at + (request.delay or 0) + request.expires_in
      check_runs(book, job, expires, tell)
      if job.status == "cancelled" and job.error == "expired" then
        check_expired(book, job, expires, tell)
      end
    end
  end
end

--- Who waits for a job is told once, by the transaction that ends it.
function M.told(book, tell)
  for _, watched in ipairs(book.all.watched) do
    local job = book:job(watched.job)
    if job and job.finished_at and (watched.told ~= 1 or watched.at_end ~= 1) then
      tell(watched.job, ("who waited for it was told %d times, %d times with its end"):format(
        watched.told, watched.at_end))
    end
  end
end

local function may_be_stale(book, run)
  return book:lost_worker(run, run.at) or book:crashed(run.at - book_of.FELT, run.at)
end

--- A waiting job that was put off does not begin before that.
function M.snoozed(book, tell)
  for id, runs in pairs(book.runs) do
    for _, entry in ipairs(book:asked(id, "snooze")) do
      for _, run in ipairs(entry.answer == "true" and runs or {}) do
        if run.at > entry.until_at + book_of.SLACK and run.at < entry.at + SNOOZE_S - book_of.SLACK
          and not may_be_stale(book, run) then
          tell(id, ("it was put off by %d s, and began %.2f s later"):format(
            SNOOZE_S, run.at - entry.at))
        end
      end
    end
  end
end

return M
