--- In calm times nobody waits while workers are idle, and urgent jobs are not overtaken for long.
local M = {}

local LATE_S = 5 -- so long may a job wait for an idle worker
local OVERTAKEN_S = 4 -- the claims of a moment ago may still be at work

local function capacity(all)
  return all.config.workers * all.config.concurrency
end

-- A job that ran once, with the time from which it could have: { job, priority, from, at }.
local function simple_life(job, runs, ack, request)
  if #runs == 1 and runs[1].attempt == 1 and job.args.request == request.id then
    local from = math.max(ack.at, request.at + (request.delay or 0))
    return { job = job.id, priority = job.priority, from = from, at = runs[1].at }
  end
end

local function simple_lives(book)
  local list = {}
  for id, runs in pairs(book.runs) do
    local job, acks, requests = book:job(id), book.acks[id], book.requests[id]
    if job and acks and requests and not book:was_put_off(id) then
      list[#list + 1] = simple_life(job, runs, acks[1], requests[1])
    end
  end
  table.sort(list, function(a, b) return a.at < b.at end)
  return list
end

local function running_at(all, at)
  local count = 0
  for _, run in ipairs(all.runs) do
    if run.at <= at and (run.ended or run.at + LATE_S) >= at then
      count = count + 1
    end
  end
  return count
end

--- A job that waited although workers had nothing else to do: a wake-up was lost.
function M.waited(book, tell)
  for _, life in ipairs(simple_lives(book)) do
    if life.at - life.from > LATE_S and book:is_calm(life.from, life.at)
      and running_at(book.all, life.from + 1) <= capacity(book.all) / 2
      and running_at(book.all, life.from + LATE_S - 1) <= capacity(book.all) / 2 then
      tell(life.job, ("it waited for %.1f s while workers were idle"):format(life.at - life.from))
    end
  end
end

local function count_overtakers(lives, life)
  local count = 0
  for _, other in ipairs(lives) do
    if other.priority > life.priority and other.at > life.from + OVERTAKEN_S
      and other.at < life.at then
      count = count + 1
    end
  end
  return count
end

--- More jobs of lower urgency began before it than workers can have held when it came.
function M.overtaken(book, tell)
  local lives = simple_lives(book)
  for _, life in ipairs(lives) do
    if life.at - life.from > OVERTAKEN_S and book:is_calm(life.from, life.at) then
      local count = count_overtakers(lives, life)
      if count > capacity(book.all) then
        tell(life.job, ("%d jobs of lower urgency began while it waited, at most %d may"):format(
          count, capacity(book.all)))
      end
    end
  end
end

return M
