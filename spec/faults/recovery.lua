--- How long jobs waited after a kill until they ran again: from the diary and what handlers wrote.
local M = {}

-- Runs that were under way in the victim at that moment.
local function interrupted(runs, entry)
  local list = {}
  for _, run in ipairs(runs) do
    local same = run.worker == entry.who and (entry.fault == "kill_worker" or run.pid == entry.pid)
    if same and run.at <= entry.at and not (run.ended and run.ended <= entry.at) then
      table.insert(list, run)
    end
  end
  return list
end

local function next_start(starts, run, at)
  for _, start in ipairs(starts[run.job] or {}) do
    if start.at > at then
      return start.at
    end
  end
end

local function summary(times)
  table.sort(times)
  local function rank(share)
    return times[math.max(1, math.ceil(share * #times))]
  end
  return { n = #times, min = times[1], p50 = rank(0.5), p90 = rank(0.9), max = times[#times] }
end

--- { kill_worker = { n, min, p50, p90, max }, kill_executor = ... }, in seconds.
function M.measure(all)
  local starts = {}
  for _, run in ipairs(all.runs) do
    starts[run.job] = starts[run.job] or {}
    table.insert(starts[run.job], run)
  end
  local times = { kill_worker = {}, kill_executor = {} }
  for _, entry in ipairs(all.diary) do
    for _, run in ipairs(times[entry.fault] and interrupted(all.runs, entry) or {}) do
      local at = next_start(starts, run, entry.at)
      if at then
        table.insert(times[entry.fault], math.floor((at - entry.at) * 1000 + 0.5) / 1000)
      end
    end
  end
  return { kill_worker = summary(times.kill_worker), kill_executor = summary(times.kill_executor) }
end

return M
