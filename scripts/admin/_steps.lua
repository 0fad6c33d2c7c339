--- The steps of a job: what it has done already, and what it waits for.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local text = require "_text"
local time = require "_time"

local M = {}

function M.of(context, id)
  return context.db:query(([[
    select s.what, s.name, s.key, s.value::text, %s as began_at, %s as ended_at, %s as due,
      %s as ended_for, %s as due_for, extract(epoch from s.ended_at - s.began_at)::float8 as took
    from jobq.steps($1::bigint) s]]):format(
    jobs.iso "s.began_at", jobs.iso "s.ended_at", jobs.iso "s.due",
    jobs.age "s.ended_at", jobs.age "s.due"), id)
end

local function name(step)
  return text.clean(step.key == "" and step.name or step.name .. " " .. step.key)
end

local function when(step)
  if step.what == "sleep" then
    return step.due_for < 0 and "until " .. time.ago(step.due_for) or time.ago(step.due_for)
  elseif step.ended_for then
    return time.ago(step.ended_for)
  end
  return step.due_for and "waits until " .. time.ago(step.due_for) or "waits"
end

local function result(step)
  if step.what == "event" and step.ended_at and not step.value then
    return "timeout"
  end
  return step.value and text.clean(step.value)
end

local COLUMNS = {
  { "step", name },
  { "is", "what" },
  { "when", when },
  { "took", function(s) return s.what == "step" and time.span(s.took) or nil end },
  { "result", result, flex = true, optional = true },
}

function M.print(steps)
  print_table(COLUMNS, steps)
end

function M.to_json(steps)
  local items = {}
  for i, step in ipairs(steps) do
    step.value = json.raw(step.value)
    items[i] = json.pick(step, { "what", "name", "key", "began_at", "ended_at", "due", "value" })
  end
  return items
end

return M
