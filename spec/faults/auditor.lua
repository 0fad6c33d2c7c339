--- Judges a run: pure functions over its records (records.lua), which come from three sides that
--- know nothing of each other: what producers were promised, what handlers wrote, what the queue's
--- tables say.
--
--     auditor.audit(all)   the violations: { check, job, text, story }
--     auditor.notes(all)   what is no violation, but worth a look
--
-- Each check is a function (book, tell) in faults/audit/, known by its name.
local book_of = require "faults.book"
local story = require "faults.story"

local M = {}

local ROOMS = { "ends", "attempts", "order", "flow", "control", "rest" }
local TOLD = 5 -- of one check; a broken engine breaks many jobs

local function checks()
  local list = {}
  for _, room in ipairs(ROOMS) do
    for name, check in pairs(require("faults.audit." .. room)) do
      table.insert(list, { name = name, check = check })
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

function M.names()
  local names = {}
  for i, item in ipairs(checks()) do
    names[i] = item.name
  end
  return names
end

function M.audit(all)
  local book = book_of.open(all)
  local violations = {}
  for _, item in ipairs(checks()) do
    local told = 0
    item.check(book, function(job, text)
      told = told + 1
      table.insert(violations, {
        check = item.name, job = job, text = text,
        story = told <= TOLD and job and story.of(book, job) or nil,
      })
    end)
  end
  return violations
end

--- Workers that fell silent although nothing was done to them: a busy machine, or a bug.
function M.notes(all)
  local book = book_of.open(all)
  local notes = {}
  for _, death in ipairs(all.deaths) do
    local cause = book:any(death.seen_at - 2, death.at, function(entry)
      return entry.who == "*" and entry.fault ~= "quiet" or entry.who == death.worker
    end)
    if not cause then
      table.insert(notes, ("worker %s was silent for %.1f s without any fault"):format(
        death.worker, death.at - death.seen_at))
    end
  end
  return notes
end

--- A report for people.
function M.show(violations)
  local lines, shown = {}, {}
  for _, violation in ipairs(violations) do
    shown[violation.check] = (shown[violation.check] or 0) + 1
    if shown[violation.check] <= TOLD then
      local whose = violation.job and ("job %d: "):format(violation.job) or ""
      table.insert(lines, ("[%s] %s%s"):format(violation.check, whose, violation.text))
      table.insert(lines, violation.story)
    end
  end
  for check, count in pairs(shown) do
    if count > TOLD then
      table.insert(lines, ("[%s] and %d more"):format(check, count - TOLD))
    end
  end
  return table.concat(lines, "\n")
end

return M
