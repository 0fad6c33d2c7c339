--- Kills runs of a spec everywhere: jobq test --crash-everywhere, and t.crash_everywhere().
---
--- A run is first done as usual. Then it begins again from the same start, as often as it has
--- waits, and is killed before the wait has done anything, or after that and before the handler has
--- gone on; the job's next attempt follows, with what is durable. All that both did to others must
--- be what the run did that nobody killed, and the end of the job, too.
local databases = require "jobq.testing.database"
local effects = require "jobq.testing.effects"
local folders = require "jobq.testing.folder"
local rows = require "jobq.testing.rows"
local tapes = require "jobq.testing.tape"

local M = {}

local MOST_CUTS = 200 -- of one run; of more waits, those are left out that are between others
local MOST_SHOWN = 5

local COPIED = { "enqueued", "events" }
local COUNTERS = { "last_batch", "last_id" }

---- the start ----

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local new = {}
  for key, each in pairs(value) do
    new[key] = copy(each)
  end
  return new
end

--- A copy of it, if the spec has one.
local function keep_folder(expected)
  local kept = expected.folder and folders.new()
  if kept then
    folders.copy(expected.folder, kept)
  end
  return kept
end

--- What a spec has arranged, as it is now.
local function save(expected)
  local start = { smtp = { table.unpack(expected.smtp) } }
  for _, name in ipairs(COPIED) do
    start[name] = copy(expected[name])
  end
  for _, name in ipairs(COUNTERS) do
    start[name] = expected[name] or 0
  end
  start.database = expected.database and rows.keep(expected.database)
  start.folder = keep_folder(expected)
  return start
end

local function forget(start)
  if start.database then
    databases.drop(start.database)
  end
  if start.folder then
    folders.remove(start.folder)
  end
end

--- Arrangements like those at the start; the folder is the same one.
local function begin_again(expected, start)
  local again = {}
  for name, value in pairs(expected) do
    again[name] = value
  end
  for name, value in pairs(start) do
    again[name] = copy(name ~= "database" and value or nil)
  end
  again.database = start.database and rows.begin(start.database)
  again.folder = expected.folder
  if again.folder then
    folders.copy(start.folder, again.folder)
  end
  return again
end

---- what was done ----

--- Each value of a result by its way: ".ids.1".
local function fields_of(value, way, fields)
  if type(value) ~= "table" then
    fields[way] = effects.show(value)
    return fields
  end
  for name, each in pairs(value) do
    fields_of(each, ("%s.%s"):format(way, name), fields)
  end
  return fields
end

local function outcome_of(report)
  return {
    verdict = report.verdict, waits_for = report.waits_for or "", error = report.error or "",
    result = effects.show(report.result), fields = fields_of(report.result, "", {}),
  }
end

--- All of the worlds of one job.
local function gather(expected, worlds)
  local list = {}
  for _, world in ipairs(worlds) do
    if not expected.database then
      effects.add_jobs(world)
    end
    table.move(world.effects, 1, #world.effects, #list + 1, list)
  end
  if expected.database then
    rows.add_effects(list, expected.database)
  end
  if expected.folder then
    folders.add_effects(list, expected.folder)
  end
  return list
end

---- the killed runs ----

--- { wait, when }, in order. Beside a database, where each takes long, not before what comes after
--- a wait: that is as after the other, but for what a handler does without waiting.
local function plan(waits, has_database)
  local all, cuts = {}, {}
  for n = 1, #waits do
    if n == 1 or not has_database then
      table.insert(all, { wait = n, when = "before" })
    end
    table.insert(all, { wait = n, when = "after" })
  end
  local count = math.min(#all, MOST_CUTS)
  for i = 1, count do
    local place = 1 + (i - 1) * (#all - 1) // math.max(count - 1, 1) -- with first and last
    cuts[i] = all[place]
  end
  return cuts
end

--- The attempt after the one that was killed; a last one was only on a worker that died.
local function next_options(options, world, steps)
  local next_one = {}
  for name, value in pairs(options) do
    next_one[name] = value
  end
  local attempt = options.attempt or 1
  next_one.attempt = math.min(attempt + 1, math.max(attempt, world.job.max_attempts or attempt))
  next_one.steps = steps
  return next_one
end

--- A part of the test: rig.expected, and a database of its own while f runs.
local function within(rig, start, f)
  local usual = rig.expected()
  local again = begin_again(usual, start)
  rig.arrange(again)
  local results = table.pack(pcall(f, again))
  rig.arrange(usual)
  if again.database then
    rows.done(again.database, start.database)
  end
  return table.unpack(results, 1, results.n)
end

--- Ids are others than those of the usual run, as they are after something was undone.
local function skip_numbers(expected)
  for _, name in ipairs(COUNTERS) do
    expected[name] = (expected[name] or 0) + 10
  end
  if expected.database then
    rows.skip_numbers(expected.database)
  end
end

--- One job from the start, killed at cut and run again; without cut it is the usual run again.
local function try(rig, start, options, tape, cut)
  return within(rig, start, function(expected)
    tape:rewind()
    if not cut then
      skip_numbers(expected)
    end
    local report, world = rig.run(options, { tape = tape, cut = cut })
    local worlds = { world }
    if world.is_killed and expected.database then
      databases.end_runs(expected.database)
    end
    if world.is_killed and not world.completed then -- else the commit that ended it was done
      tape:rewind(tape.told)
      options = next_options(options, world, world.steps)
      report, worlds[2] = rig.run(options, { tape = tape, is_after_crash = true })
    end
    return { outcome = outcome_of(report), effects = gather(expected, worlds), waits = world.waits,
      is_killed = world.is_killed }
  end)
end

---- judgement ----

--- The ways of fields with different values.
local function different(one, other)
  local ways = {}
  for _, fields in ipairs { one, other } do
    for way in pairs(fields) do
      ways[way] = one[way] ~= other[way] or nil
    end
  end
  return ways
end

local function judge_outcome(wanted, done, free)
  local list = {}
  local function add(text, ...)
    table.insert(list, { text = text:format(...) })
  end
  if not free.verdict and done.verdict ~= wanted.verdict then
    add("the verdict of the next attempt is %s, not %s%s", done.verdict, wanted.verdict,
      done.error ~= "" and ": " .. done.error or "")
  elseif not free.verdict and done.waits_for ~= wanted.waits_for then
    add("the next attempt waits for '%s', not for '%s'", done.waits_for, wanted.waits_for)
  end
  for way in pairs(different(wanted.fields, done.fields)) do
    if not free.fields[way] and #list == 0 then
      add("the result is %s, not %s", done.result, wanted.result)
    end
  end
  return list
end

--- wanted: what nobody killed. free: what differs anyhow.
local function judge(wanted, done, free)
  local list = judge_outcome(wanted.outcome, done.outcome, free)
  local differences = effects.differences(effects.count(wanted.effects, free.classes),
    effects.count(done.effects, free.classes))
  return table.move(differences, 1, #differences, #list + 1, list)
end

--- What two runs differ in that nobody has killed.
local function differ_anyhow(one, other)
  return {
    classes = effects.volatile(one.effects, other.effects),
    fields = different(one.outcome.fields, other.outcome.fields),
    verdict = one.outcome.verdict ~= other.outcome.verdict
      or one.outcome.waits_for ~= other.outcome.waits_for,
  }
end

local function describe(cut, waits)
  local wait = waits[cut.wait]
  return ("%s, %s %s (wait %d of %d)"):format(wait.place, cut.when, wait.name, cut.wait, #waits)
end

--- Problems with the places that they come from, the first ones.
local function report(kind, problems, count)
  local lines = { ("%s: killed at %d places, and not all went well"):format(kind, count) }
  for i = 1, math.min(#problems, MOST_SHOWN) do
    local problem = problems[i]
    local more = problem.times > 1 and (", and at %d more"):format(problem.times - 1) or ""
    table.insert(lines, ("killed at %s%s:\n  %s"):format(problem.place, more, problem.text))
    table.insert(lines, problem.hint and "  hint: " .. problem.hint)
  end
  if #problems > MOST_SHOWN then
    table.insert(lines, ("%d more problems"):format(#problems - MOST_SHOWN))
  end
  return table.concat(lines, "\n")
end

local function note(problems, place, found)
  for _, each in ipairs(found) do
    local known = problems[each.text]
    if known then
      known.times = known.times + 1
    else
      known = { place = place, text = each.text, hint = each.hint, times = 1 }
      problems[each.text] = known
      table.insert(problems, known)
    end
  end
end

--- The usual run again must go through, or nothing can be said.
local function control(rig, start, options, tape, usual)
  local ok, other = try(rig, start, options, tape)
  if not ok then
    error("crash-everywhere: the same run does not go through a second time: " .. other, 0)
  end
  return differ_anyhow(usual, other)
end

local function kill_everywhere(rig, start, options, tape, usual)
  local again = next_options(options, usual.world, options.steps)
  local free = control(rig, start, again, tape, usual)
  local cuts, problems = plan(usual.waits, start.database), {}
  for _, cut in ipairs(cuts) do
    local ok, done = try(rig, start, options, tape, cut)
    local found = ok and (done.is_killed and judge(usual, done, free) or {})
      or { { text = tostring(done) } }
    note(problems, describe(cut, usual.waits), found)
  end
  if #problems > 0 then
    return report(rig.kind, problems, #cuts)
  end
end

--- rig: kind; run(options, watch) gives report and world; expected() and arrange(expected).
--- Gives the report of the usual run, and what is wrong, if anything is.
function M.run(rig, options)
  local expected = rig.expected()
  local start, tape = save(expected), tapes.new()
  local after
  local ok, problem, usual_report = pcall(function()
    tape:rewind()
    local usual, world = rig.run(options, { tape = tape })
    tape:stop_recording()
    after = keep_folder(expected)
    local done = { outcome = outcome_of(usual), effects = gather(expected, { world }),
      waits = world.waits, world = world }
    return kill_everywhere(rig, start, options, tape, done), usual
  end)
  if after then
    folders.copy(after, expected.folder)
    folders.remove(after)
  end
  forget(start)
  if not ok then
    error(problem, 0)
  end
  return usual_report, problem
end

return M
