--- Every acknowledged job ended exactly once, as its kind ends, by a run that said so.
local book_of = require "faults.book"
local kinds = require "faults.kinds"

local M = {}

local function kind_of(job)
  return kinds[(job.kind:gsub("^chaos%.", ""))]
end

--- An acknowledgement without a job; a request in the table without one.
function M.lost(book, tell)
  for _, ack in ipairs(book.all.acks) do
    if not book.jobs[ack.job] then
      tell(ack.job, ("request %s was acknowledged, and its job is nowhere"):format(ack.request))
    end
  end
  for _, request in ipairs(book.all.requests) do
    if not book.jobs[request.job] and not book.acks[request.job] then
      tell(request.job, ("request %s was committed, and its job is nowhere"):format(request.id))
    end
  end
end

--- A job that is in two places, or ended twice.
function M.twice(book, tell)
  for id, rows in pairs(book.jobs) do
    if #rows > 1 then
      local places = {}
      for _, row in ipairs(rows) do
        table.insert(places, row.status)
      end
      tell(id, "it is in several places: " .. table.concat(places, ", "))
    end
  end
end

--- One request, two jobs.
function M.doubled(book, tell)
  local seen = {}
  for id, rows in pairs(book.jobs) do
    local request = rows[1].args and rows[1].args.request
    if request and seen[request] then
      tell(id, ("request %s made two jobs, this and %d"):format(request, seen[request]))
    elseif request then
      seen[request] = id
    end
  end
end

--- A job that never ended.
function M.stuck(book, tell)
  for _, job in ipairs(book.all.jobs) do
    if job.status == "pending" or job.status == "processing" then
      tell(job.id, ("it is still %s at the end"):format(job.status))
    end
  end
end

-- Failed because those that ran it died.
local function died_of_crashes(book, job)
  local crashes = 0
  for _, row in ipairs(book.trail[job.id] or {}) do
    crashes = crashes + (row.outcome == "crash" and 1 or 0)
  end
  return job.status == "failed" and (job.error or ""):find("died while it ran", 1, true)
    and (crashes >= 2 or job.attempt >= job.max_attempts)
end

local function check_status(book, job, tell)
  local kind = kind_of(job)
  if job.status == "cancelled" then
    local has_expired = kind and kind.expires and job.error == "expired"
    if not has_expired and #book:asked(job.id, "cancel") == 0 then
      tell(job.id, "it was cancelled, and nobody asked for that")
    end
  elseif kind and job.status ~= kind.ends and not died_of_crashes(book, job) then
    tell(job.id, ("it ended as %s with attempt %d, %s ends as %s; its error: %s"):format(
      job.status, job.attempt, job.kind, kind.ends, (job.error or "none"):match "^[^\n]*"))
  end
end

--- Ended as its kind ends, or as somebody asked for.
function M.status(book, tell)
  for _, job in ipairs(book.all.jobs) do
    if job.finished_at then
      check_status(book, job, tell)
    end
  end
end

local function run_that_said(book, job)
  for _, run in ipairs(book.runs[job.id] or {}) do
    if run.word == "done" and run.attempt == job.attempt and run.worker == job.worker
      and run.ended <= job.finished_at + book_of.SLACK then
      return run
    end
  end
end

--- Whoever completed a job has run it to its end before, in that attempt; the result is that run's.
function M.unearned(book, tell)
  for _, job in ipairs(book.all.jobs) do
    if job.status == "completed" then
      local r = job.result or {}
      if not run_that_said(book, job) then
        tell(job.id, ("worker %s completed attempt %d without having run it to its end"):format(
          job.worker, job.attempt))
      elseif r.job ~= job.id or r.attempt ~= job.attempt or r.worker ~= job.worker then
        tell(job.id, ("its result is that of job %s, attempt %s, worker %s"):format(
          r.job, r.attempt, r.worker))
      end
    end
  end
end

-- How many calls had an effect: at least those answered so, at most those without an answer, too.
local function possible(entries, answer)
  local sure, maybe = 0, 0
  for _, entry in ipairs(entries) do
    sure = sure + (entry.answer == answer and 1 or 0)
    maybe = maybe + (entry.answer == "lost" and 1 or 0)
  end
  return sure, sure + maybe
end

--- Each retry by hand that was answered shows in the trail, and no other does.
function M.retries(book, tell)
  for id in pairs(book.jobs) do
    local by_hand = 0
    for _, row in ipairs(book.trail[id] or {}) do
      by_hand = by_hand + ((row.outcome == "failed" or row.outcome == "cancelled") and 1 or 0)
    end
    local sure, most = possible(book:asked(id, "retry"), "true")
    if by_hand < sure or by_hand > most then
      tell(id, ("%d retries by hand show in its trail, %d to %d were made"):format(
        by_hand, sure, most))
    end
  end
end

--- What was answered "cancelled" ended so, or was retried after that.
function M.cancels(book, tell)
  for id in pairs(book.jobs) do
    local job = book:job(id)
    local sure = possible(book:asked(id, "cancel"), "cancelled")
    local _, retries = possible(book:asked(id, "retry"), "true")
    if sure > 0 and job.status ~= "cancelled" and retries == 0 then
      tell(id, ("its cancel was answered 'cancelled', and it ended as %s"):format(job.status))
    end
  end
end

return M
