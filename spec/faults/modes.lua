--- What scripts/chaos can do: each mode runs and reports; true if all is well.
local auditor = require "faults.auditor"
local defects = require "faults.defects"
local faults = require "faults.faults"
local files = require "support.files"
local ledger = require "faults.ledger"
local plan = require "faults.plan"
local run = require "faults.run"

local M = {}

local function print_lines(prefix, text)
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    print(prefix .. line)
  end
  io.stdout:flush()
end

local function start(options, schedule)
  return run {
    seed = options.seed, seconds = options.seconds, workers = options.workers, plan = schedule,
    keep = options.keep, mix = options.mix, rate = options.rate, dead_after = options.dead_after,
    say = options.say,
  }
end

local function report(prefix, result)
  print_lines(prefix, ledger.summary(result))
  for _, note in ipairs(result.notes) do
    print_lines(prefix, "note: " .. note)
  end
  if #result.violations > 0 then
    print_lines(prefix, auditor.show(result.violations))
  end
  if result.kept then
    print_lines(prefix, "kept in " .. result.kept)
  end
end

local function introduce(prefix, options, schedule)
  print_lines(prefix, ("seed %d, %g s, %d workers, dead after %g s\n%s"):format(
    options.seed, options.seconds, options.workers, options.dead_after, plan.show(schedule)))
end

--- One run, for people.
function M.chaos(options)
  local schedule = options.fault and plan.each(options.seed, 6, { options.fault })
    or plan.random(options.seed, options.seconds, options.only)
  introduce("", options, schedule)
  local result = start(options, schedule)
  ledger.append(options.ledger, options, result)
  report("", result)
  return #result.violations == 0
end

-- TAP --------------------------------------------------------------------------------------------

local tap = { count = 0, good = true }

local function ok(is_good, text)
  tap.count = tap.count + 1
  tap.good = tap.good and is_good
  print(("%s %d - %s"):format(is_good and "ok" or "not ok", tap.count, text))
  io.stdout:flush()
  return is_good
end

local function by_check(violations)
  local groups = {}
  for _, violation in ipairs(violations) do
    groups[violation.check] = groups[violation.check] or {}
    table.insert(groups[violation.check], violation)
  end
  return groups
end

--- Each fault at least once in the given time, in TAP: a line for each fault and for each check.
function M.slice(options)
  local schedule = plan.each(options.seed, options.seconds, faults.names())
  introduce("# ", options, schedule)
  local result = start(options, schedule)
  ledger.append(options.ledger, options, result)
  report("# ", result)
  for _, name in ipairs(faults.names()) do
    ok((result.counts[name] or 0) > 0, "fault " .. name .. " happened")
  end
  local groups = by_check(result.violations)
  for _, name in ipairs(auditor.names()) do
    if not ok(not groups[name], "audit: " .. name) then
      print_lines("  ", auditor.show(groups[name]))
    end
  end
  print("1.." .. tap.count)
  return tap.good
end

local function defect_options(options, name, round)
  local defect = defects.list[name]
  local o = {
    seed = options.seed + round, seconds = options.seconds, defect = name, say = options.say,
    quiet = 40, keep = options.keep == true, sql = {},
  }
  for key, value in pairs(defect.run) do
    o[key] = value
  end
  for i, file in ipairs(defect.sql or {}) do
    o.sql[i] = files.read(("spec/faults/defects/%s.sql"):format(file))
  end
  o.plan = #defect.faults > 0 and plan.random(o.seed, o.seconds, defect.faults) or {}
  return o
end

local function found(defect, violations)
  local groups = by_check(violations)
  for _, check in ipairs(defect.finds) do
    if groups[check] then
      return groups[check][1]
    end
  end
end

local function hunt(options, name)
  local defect = defects.list[name]
  for round = 1, options.rounds do
    options.say(("%s, round %d: %s"):format(name, round, defect.about))
    local result = run(defect_options(options, name, round))
    local violation = found(defect, result.violations)
    if violation then
      print_lines("# ", auditor.show { violation })
      return ok(true, ("defect %s is found in round %d, by %s"):format(
        name, round, violation.check))
    end
    report("# ", result)
  end
  return ok(false, ("defect %s is found"):format(name))
end

--- Runs each seeded defect with the faults that provoke it, until the auditor reports it.
function M.defects(options)
  for _, name in ipairs(options.defect and { options.defect } or defects.names) do
    hunt(options, name)
  end
  print("1.." .. tap.count)
  return tap.good
end

return M
