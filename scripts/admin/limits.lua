--- jobq limits: what may run at a time, or start in a period; who holds it, and what waits.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local time = require "_time"

local SQL = ([[
select l.name, l.queue, l.kind, l.key_by, l.concurrency, l.rate,
  extract(epoch from l.per)::float8 as per_s, l.burst, l.holders, l.waiting,
  extract(epoch from l.held_until - now())::float8 as held_s, %s as held_until,
  %s as applied_at, %s as exact_at, l.source
from jobq.limit_status l
order by l.name]]):format(jobs.iso "l.held_until", jobs.iso "l.applied_at", jobs.iso "l.exact_at")

local function of(l)
  return l.queue and "queue " .. l.queue or "kind " .. l.kind
end

local function rate(l)
  return l.rate and ("%d per %s%s"):format(l.rate, time.span(l.per_s),
    l.burst ~= l.rate and (", %d at once"):format(l.burst) or "")
end

local function state(l)
  return not l.applied_at and "being applied"
    or l.held_s and "held for " .. time.span(l.held_s)
    or not l.exact_at and "not exact yet" or nil
end

local COLUMNS = {
  { "limit", "name", flex = true },
  { "of", of, flex = true },
  { "each", "key_by", flex = true, optional = true },
  { "at most", "concurrency", right = true, optional = true },
  { "starts", rate, optional = true },
  { "taken", "holders", right = true },
  { "waiting", "waiting", right = true },
  { "state", state, optional = true, paint = function(l) return state(l) and "warn" end },
}

return {
  group = "Kinds and workers",
  summary = "how many jobs may run at a time, or start in a period",
  text = [[
At most: jobs that run at a time over all workers, or for each value of what stands under each.
Taken: by jobs that run, or are about to.
Waiting: due jobs that such limits keep. jobq why ID tells which limit keeps a job.

A limit that is being applied starts nothing until the jobs that were there before it are counted.
It is exact once the last transaction has ended that was open when it came.
]],
  role = "jobq_reader",
  examples = { { "limits" }, { "limits --json" } },

  run = function(context)
    local rows = context.db:query(SQL)
    if context.json then
      local items = {}
      for i, row in ipairs(rows) do
        items[i] = json.pick(row, {
          "name", "queue", "kind", "key_by", "concurrency", "rate", "per_s", "burst", "holders",
          "waiting", "held_until", "applied_at", "exact_at",
          "source",
        })
      end
      context:print_items(items)
    elseif #rows == 0 then
      context.say "no limits"
    else
      print_table(COLUMNS, rows)
    end
  end,
}
