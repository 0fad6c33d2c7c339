--- jobq schedules: jobs that come by the clock.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local schedules = require "_schedules"
local text = require "_text"
local time = require "_time"

local SQL = ([[
select s.name, s.kind, s.expression, s.zone, s.overlap, s.missed, s.source, s.live, s.skipped,
  extract(epoch from s.missed_window)::float8 as missed_window_s,
  extract(epoch from s.jitter)::float8 as jitter_s, s.args::text, s.options::text,
  %s as last_tick, %s as next_tick, %s as paused_at, s.last_job, s.paused_by, s.paused_reason,
  s.problem, %s as last_since, %s as next_since, %s as paused_since
from jobq.schedule_status s
where $1::text is null or s.name = $1
order by s.name]]):format(jobs.iso "s.last_tick", jobs.iso "s.next_tick", jobs.iso "s.paused_at",
  jobs.age "s.last_tick", jobs.age "s.next_tick", jobs.age "s.paused_at")

local FIELDS = {
  "name", "kind", "expression", "zone", "overlap", "missed", "missed_window_s", "jitter_s", "args",
  "options", "source", "last_tick", "next_tick", "last_job", "live", "skipped", "paused_at",
  "paused_by", "paused_reason", "problem",
}

local function next_of(s)
  if s.paused_at then
    return "paused"
  end
  return s.next_since and time.ago(s.next_since) or "never"
end

local function remark(s)
  if s.paused_at then
    return ("for %s by %s%s"):format(time.span(s.paused_since), s.paused_by,
      s.paused_reason and ": " .. s.paused_reason or "")
  end
  return s.problem
end

local COLUMNS = {
  { "schedule", "name", flex = true },
  { "line", "expression" },
  { "zone", "zone" },
  { "kind", "kind", flex = true },
  { "next", next_of, paint = function(s) return s.paused_at and "warn" end },
  { "last", function(s) return s.last_since and time.ago(s.last_since) or "" end, optional = true },
  { "live", "live", right = true },
  { "skipped", "skipped", right = true },
  { "", remark, flex = true, optional = true, paint = function() return "warn" end },
}

local NEXT_COLUMNS = {
  { "schedule", "name", flex = true },
  { "next", function(t) return time.ago(t.since) end },
  { "at", "words" },
  { "zone", "zone" },
}

local function to_items(rows, ticks)
  local next_of_name = {}
  for _, tick in ipairs(ticks or {}) do
    next_of_name[tick.name] = next_of_name[tick.name] or {}
    table.insert(next_of_name[tick.name], tick.tick)
  end
  local items = {}
  for i, row in ipairs(rows) do
    row.args, row.options = json.raw(row.args), json.raw(row.options)
    row.last_job = row.last_job and tostring(row.last_job)
    items[i] = json.pick(row, FIELDS)
    if ticks then
      table.insert(items[i], { "next", next_of_name[row.name] or {} })
    end
  end
  return items
end

return {
  group = "Schedules",
  summary = "jobs that come by the clock, and when",
  text = [[
Live are jobs that have not ended; skipped are ticks that made none, because an earlier job had not
ended, or because nobody was there in time.
]],
  role = "jobq_reader",
  arguments = { { "[NAME]", "only this one" } },
  options = {
    { "--next N", "the next N times of each", type = "integer", min = 1, max = 1000 },
  },
  examples = {
    { "schedules" },
    { "schedules --next 5", "the next five times of each" },
    { "schedules nightly --json" },
  },

  run = function(context)
    local name, many = context.arguments.name, context.options.next
    if name then
      schedules.check(context, name)
    end
    local ticks = many and schedules.next_ticks(context, many, name)
    local rows = context.db:query(SQL, name)
    if context.json then
      context:print_items(to_items(rows, ticks))
    elseif #rows == 0 then
      context.say "no schedules; make one: jobq schedules add NAME CRON KIND"
    elseif ticks and #ticks == 0 then
      context.say(("%s paused or without a next time"):format(
        #rows == 1 and text.clean(rows[1].name) .. " is" or "all are"))
    elseif ticks then
      print_table(NEXT_COLUMNS, ticks)
    else
      print_table(COLUMNS, rows)
    end
  end,
}
