--- Attempts are counted once each, settled by runs that took place, and begin when they should.
local book_of = require "faults.book"
local kinds = require "faults.kinds"

local M = {}

local COUNTS = { retry = true, crash = true, failed = true }

local function kind_of(name)
  return kinds[(name:gsub("^chaos%.", ""))]
end

-- Settlements that counted, by attempt; cancelled ones may or may not have counted.
local function settlements(book, id)
  local counted, cancelled = {}, {}
  for _, row in ipairs(book.trail[id] or {}) do
    if COUNTS[row.outcome] then
      counted[row.attempt] = (counted[row.attempt] or 0) + 1
    else
      cancelled[row.attempt] = true
    end
  end
  return counted, cancelled
end

local function check_settlements(job, counted, cancelled, tell)
  for attempt, count in pairs(counted) do
    if count > 1 then
      tell(job.id, ("its attempt %d was settled %d times"):format(attempt, count))
    end
  end
  local used = job.status == "pending" and job.attempt or job.attempt - 1
  for attempt = 1, used do
    if not counted[attempt] and not cancelled[attempt] then
      tell(job.id, ("its attempt %d was used up, and nothing tells by what; it is at %d"):format(
        attempt, job.attempt))
    end
  end
end

--- No two settlements of one attempt, and none that nobody made.
function M.settled(book, tell)
  for id in pairs(book.jobs) do
    local job = book:job(id)
    local counted, cancelled = settlements(book, id)
    if job.status == "completed" or job.status == "failed" then
      counted[job.attempt] = (counted[job.attempt] or 0) + 1
    end
    check_settlements(job, counted, cancelled, tell)
  end
end

local function has_run(book, id, attempt, before)
  for _, run in ipairs(book.runs[id] or {}) do
    if run.attempt == attempt and run.at <= before + book_of.SLACK then
      return true
    end
  end
  return false
end

-- Calls fn(job, kind, row) for each row of the trail of jobs that are known.
local function each_settlement(book, fn)
  for id, rows in pairs(book.trail) do
    local job = book:job(id)
    local kind = job and kind_of(job.kind)
    for _, row in ipairs(kind and rows or {}) do
      fn(job, kind, row)
    end
  end
end

--- A failure that was settled is one of a run, and one that the kind has.
function M.failures(book, tell)
  each_settlement(book, function(job, kind, row)
    if row.outcome == "retry" and not has_run(book, job.id, row.attempt, row.at) then
      tell(job.id, ("its attempt %d failed without having run"):format(row.attempt))
    elseif row.outcome == "retry" and row.attempt > kind.fails then
      tell(job.id, ("its attempt %d failed, %s fails %d times; its error: %s"):format(
        row.attempt, job.kind, kind.fails, (row.error or "none"):match "^[^\n]*"))
    end
  end)
end

--- Attempts end where the kind says, unless somebody asked for more.
function M.limit(book, tell)
  for _, job in ipairs(book.all.jobs) do
    local kind = kind_of(job.kind)
    if kind and job.attempt > kind.max_attempts and #book:asked(job.id, "retry") == 0 then
      tell(job.id, ("it came to attempt %d, %d are allowed"):format(job.attempt, kind.max_attempts))
    end
  end
end

-- Seconds to wait after the settlement of an attempt; nil where another rule holds.
local function delay_after(row, kind)
  if row.outcome == "retry" then
    return kind.delay or 2 ^ row.attempt
  elseif row.outcome == "crash" then
    return 2 ^ row.attempt
  end
end

--- No attempt begins before the delay after the last one is over.
function M.delays(book, tell)
  each_settlement(book, function(job, kind, row)
    local delay = delay_after(row, kind)
    local is_free = not delay or #book:asked(job.id, "retry") > 0
    for _, run in ipairs(is_free and {} or book.runs[job.id] or {}) do
      if run.attempt == row.attempt + 1 and run.at < row.at + delay - book_of.SLACK then
        tell(job.id, ("its attempt %d began %.2f s after the last one, expected %g s"):format(
          run.attempt, run.at - row.at, delay))
      end
    end
  end)
end

--- No job begins before its time. One that later requests renewed may have run before.
function M.scheduled(book, tell)
  for _, request in ipairs(book.all.requests) do
    local job, runs = book:job(request.job), book.runs[request.job]
    local is_own = job and job.args.request == request.id and #book.requests[job.id] == 1
      and #book:asked(job.id, "retry") == 0
    local delay = request.delay or 0
    if is_own and runs and runs[1].at < request.at + delay - book_of.SLACK then
      tell(job.id, ("it began %.2f s after its enqueue, expected %g s"):format(
        runs[1].at - request.at, delay))
    end
  end
end

local function is_explained(book, first, second)
  return first.word == "snooze"
    or book:was_interrupted(first, second.at)
    or book:was_interrupted(second, second.at)
    or #book:asked(first.job, "retry") > 0
end

--- An attempt runs a second time only if something happened to the first.
function M.repeated(book, tell)
  for id, runs in pairs(book.runs) do
    local last = {}
    for _, run in ipairs(runs) do
      local before = last[run.attempt]
      if before and not is_explained(book, before, run) then
        tell(id, ("its attempt %d ran again on %s, %.2f s after %s began it without harm"):format(
          run.attempt, run.worker, run.at - before.at, before.worker))
      end
      last[run.attempt] = run
    end
  end
end

-- A worker that does not know yet that it lost the job, or a claim that the server has forgotten.
local function may_be_stale(book, run)
  return book:lost_worker(run, run.at) or book:crashed(run.at - book_of.FELT, run.at)
end

--- No run starts after the job's end.
function M.late_starts(book, tell)
  for _, job in ipairs(book.all.jobs) do
    for _, run in ipairs(job.finished_at and book.runs[job.id] or {}) do
      if run.at > job.finished_at + book_of.SLACK + 0.2 and not may_be_stale(book, run) then
        tell(job.id, ("%s began attempt %d of it %.2f s after it had ended"):format(
          run.worker, run.attempt, run.at - job.finished_at))
      end
    end
  end
end

return M
