--- The life of a job as lines to read: what was promised, what triggers saw, what handlers wrote,
--- what was done to those who ran it.
local M = {}

local function add(events, at, text)
  if at then
    table.insert(events, { at = at, text = text, order = #events })
  end
end

local function add_runs(events, runs, workers)
  for _, run in ipairs(runs) do
    workers[run.worker] = true
    local who = run.worker
    add(events, run.at, ("%s runs attempt %d, in process %s"):format(who, run.attempt, run.pid))
    add(events, run.ended, ("%s says %s of attempt %d"):format(who, run.word, run.attempt))
  end
end

local function add_life(events, book, id, workers)
  for _, event in ipairs((book.all.life or {})[id] or {}) do
    if event.worker then
      workers[event.worker] = true
    end
    add(events, event.at, (event.worker and event.worker .. ": " or "") .. event.what)
  end
  for _, row in ipairs(book.trail[id] or {}) do
    add(events, row.at, ("attempt %d settled as %s by %s"):format(
      row.attempt, row.outcome, row.worker or "somebody"))
  end
end

local function add_rows(events, rows)
  for _, job in ipairs(rows) do
    add(events, job.finished_at, ("%s by %s with attempt %d"):format(
      job.status, job.worker or "nobody", job.attempt))
  end
end

local function describe(entry)
  local words = { "!! " .. entry.fault }
  table.insert(words, entry.who ~= "*" and entry.who or nil)
  table.insert(words, entry.pid and "process " .. entry.pid or nil)
  table.insert(words, entry.answer and ": " .. entry.answer or nil)
  return table.concat(words, " ")
end

local function concerns(entry, id, workers)
  if entry.job then
    return entry.job == id
  end
  return entry.who == "*" or workers[entry.who]
end

-- Cuts are many: only those shortly before something happened to the job are of interest.
local function matters(entry, moments)
  if entry.fault ~= "cut" then
    return true
  end
  for _, at in ipairs(moments) do
    if at >= entry.at and at - entry.at < 1 then
      return true
    end
  end
  return false
end

local function add_faults(events, book, id, workers, seen)
  local moments = {}
  for i, event in ipairs(events) do
    moments[i] = event.at
  end
  for _, entry in ipairs(book.all.diary) do
    if seen(entry) and concerns(entry, id, workers) and matters(entry, moments) then
      add(events, entry.at, describe(entry))
    end
  end
  for _, death in ipairs(book.all.deaths) do
    if seen(death) and workers[death.worker] then
      add(events, death.at, ("!! %s is declared dead"):format(death.worker))
    end
  end
end

local function by_time(a, b)
  if a.at ~= b.at then
    return a.at < b.at
  end
  return a.order < b.order
end

function M.of(book, id)
  local events, workers = {}, {}
  for _, request in ipairs(book.requests[id] or {}) do
    add(events, request.at, ("request %s for %s"):format(request.id, request.kind))
  end
  for _, ack in ipairs(book.acks[id] or {}) do
    add(events, ack.at, ("request %s is acknowledged"):format(ack.request))
  end
  add_life(events, book, id, workers)
  add_runs(events, book.runs[id] or {}, workers)
  add_rows(events, book.jobs[id] or {})
  table.sort(events, by_time)
  if #events == 0 then
    return "    nothing is known of it"
  end
  local first, last = events[1].at, events[#events].at
  add_faults(events, book, id, workers, function(event)
    return event.at >= first - 5 and event.at <= last + 1
  end)
  table.sort(events, by_time)
  local lines = {}
  for _, event in ipairs(events) do
    table.insert(lines, ("    %+8.2f s  %s"):format(event.at - first, event.text))
  end
  return table.concat(lines, "\n")
end

return M
