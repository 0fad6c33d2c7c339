--- What belongs to something larger: steps, batches, limits, schedules.
local book_of = require "faults.book"

local M = {}

local LIMIT = 3 -- of chaos.limited, see flow.sql

--- A step gives each run of its job the same, once it has given it to one.
function M.steps(book, tell)
  local given = {}
  for _, step in ipairs(book.all.steps) do
    local key = step.job .. "." .. step.number
    if given[key] and given[key] ~= step.token then
      tell(step.job, ("its step %d ran twice: it gave %s, then %s"):format(
        step.number, given[key], step.token))
    end
    given[key] = given[key] or step.token
  end
end

local function check_calls(batch, tell)
  if batch.completions ~= 1 then
    tell(nil, ("batch %d was told to have ended %d times"):format(batch.id, batch.completions))
  end
  local expected = batch.has_failed and 1 or 0
  if batch.failures ~= expected then
    tell(nil, ("batch %d, of whose jobs %d have failed, told of failure %d times"):format(
      batch.id, batch.failed, batch.failures))
  end
end

--- A batch ends with its last job, and says so once.
function M.batches(book, tell)
  for _, batch in ipairs(book.all.batches) do
    if batch.done ~= batch.total or batch.total ~= 4 then
      tell(nil, ("batch %d counts %d of %d ends, it has 4 jobs"):format(
        batch.id, batch.done, batch.total))
    end
    check_calls(batch, tell)
  end
end

-- The run that its job was completed by: from its start to what it said, the job had its slot.
local function completing_runs(book)
  local list = {}
  for id in pairs(book.jobs) do
    local job = book:job(id)
    for _, run in ipairs(job.kind == "chaos.limited" and book.runs[id] or {}) do
      if job.status == "completed" and run.word == "done" and run.attempt == job.attempt
        and run.worker == job.worker then
        table.insert(list, run)
      end
    end
  end
  table.sort(list, function(a, b) return a.at < b.at end)
  return list
end

--- Never more runs at a time than the limit says; of those that counted, whatever died meanwhile.
function M.limits(book, tell)
  local runs = completing_runs(book)
  for i, run in ipairs(runs) do
    local beside = 1
    for k = i - 1, 1, -1 do
      beside = beside + (runs[k].ended > run.at + book_of.SLACK and 1 or 0)
    end
    if beside > LIMIT then
      tell(run.job, ("it ran beside %d others, %d may run at a time"):format(beside - 1, LIMIT))
    end
  end
end

--- A tick makes one job, and no tick is left out.
function M.ticks(book, tell)
  local ticks, seen = {}, {}
  for _, job in ipairs(book.all.jobs) do
    if job.kind == "chaos.tick" then
      local tick = math.floor(job.meta.tick + 0.5)
      if seen[tick] then
        tell(job.id, ("tick %d made two jobs, this and %d"):format(tick, seen[tick]))
      end
      seen[tick] = job.id
      table.insert(ticks, tick)
    end
  end
  table.sort(ticks)
  for i = 2, #ticks do
    if ticks[i] > ticks[i - 1] + 1 then
      tell(seen[ticks[i]], ("there was no job for the %d ticks before that"):format(
        ticks[i] - ticks[i - 1] - 1))
    end
  end
end

return M
