--- jobq doctor: everything that jobs need, one after the other.
local checks = require "_checks"
local color = require "_color"
local failure = require "_failure"
local help = require "_help"
local host = require "jobq.host"
local json = require "_json"
local text = require "_text"

local INDENT = 20
local PAINT = { ok = "good", warn = "warn", fail = "bad", fixed = "good" }

local function examine(context, check)
  local done, state, found, remedy = pcall(check.run, context)
  if not done and failure.is(state) then
    return { name = check.name, state = "fail", found = state.message, remedy = state.hint }
  elseif not done then
    error(state, 0)
  end
  return { name = check.name, state = state, found = found, remedy = remedy }
end

-- A fix answers what it did; or nil, and why not unless there was nothing to do.
local function fix(context, check)
  local done, fixed, why = pcall(check.fix, context)
  if done then
    return fixed, why
  elseif failure.is(fixed) then
    return nil, fixed.message
  end
  error(fixed, 0)
end

-- What was mended is looked at again.
local function mend(context, check, result)
  if result.state == "ok" or not check.fix then
    return result
  end
  local fixed, why = fix(context, check)
  if why and not fixed then
    context.say(("%s: not mended: %s"):format(check.name, text.clean(why)))
  end
  local again = fixed and examine(context, check) or result
  if again.state == "ok" then
    again.state, again.found = "fixed", ("%s (%s)"):format(again.found, fixed)
  end
  return again
end

local function print_result(context, result)
  if context.json then
    return
  end
  local lines = help.wrap(result.found, math.max((host.columns() or math.huge) - INDENT, INDENT))
  context:print(("%s  %-11s  %s"):format(
    color.paint(PAINT[result.state], ("%-5s"):format(result.state)), result.name, lines[1]))
  table.insert(lines, result.remedy)
  for i = 2, #lines do
    context:print((" "):rep(INDENT) .. lines[i])
  end
  io.stdout:flush()
end

-- Until one fails that all others need.
local function examine_all(context)
  local results, failed = {}, 0
  for i, check in ipairs(checks) do
    local result = examine(context, check)
    if context.options.fix then
      result = mend(context, check, result)
    end
    results[i] = result
    print_result(context, result)
    failed = failed + (result.state == "fail" and 1 or 0)
    if result.state == "fail" and check.essential then
      break
    end
  end
  return results, failed
end

local function to_items(results)
  local items = {}
  for i, result in ipairs(results) do
    items[i] = json.pick(result, { "name", "state", "found", "remedy" })
  end
  return items
end

return {
  group = "Database",
  summary = "check step by step what jobs need, and say what to do",
  text = [[
From the dsn to the disk. warn: it works, but not for long or not well. fail: it does not work, and
the exit status is 6. --fix does what is harmless: it migrates, makes and grants roles, puts back
the jobs of dead workers, makes the days of history.
]],
  role = "jobq_reader",
  options = { { "--fix", "mend what can be" } },
  examples = { { "doctor" }, { "doctor --fix" }, { "doctor --json" } },

  run = function(context)
    local results, failed = examine_all(context)
    if context.json then
      context:print_items(to_items(results))
    end
    if failed > 0 then
      failure.raise("problems", text.count(failed, "problem") .. " found",
        not context.options.fix and "jobq doctor --fix mends what can be" or nil)
    end
  end,
}
