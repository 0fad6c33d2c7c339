--- jobq queues: where jobs wait, who serves it, and what is paused.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local time = require "_time"

local SQL = ([[
select q.name, q.pending, q.workers, %s as paused_at, q.paused_by, q.pause_reason,
  extract(epoch from now() - q.paused_at)::float8 as paused_for
from jobq.queue_status q
where not $1::boolean or q.paused_at is not null
order by q.name]]):format(jobs.iso "q.paused_at")

local COLUMNS = {
  { "queue", "name", flex = true },
  { "pending", "pending", right = true },
  {
    "workers", function(q) return q.workers > 0 and q.workers or "none" end, right = true,
    paint = function(q) return q.workers == 0 and "warn" end,
  },
  {
    "paused",
    function(q)
      return q.paused_by and ("for %s by %s"):format(time.span(q.paused_for), q.paused_by)
    end,
    flex = true, optional = true, paint = function(q) return q.paused_by and "warn" end,
  },
  { "reason", "pause_reason", flex = true, optional = true },
}

return {
  group = "Kinds and workers",
  summary = "the queues, and which are paused",
  text = "Workers: those alive that serve it.\n",
  role = "jobq_reader",
  options = {
    { "--paused", "only those" },
  },
  examples = { { "queues" }, { "queues --paused --json" } },

  run = function(context)
    local rows = context.db:query(SQL, context.options.paused or false)
    if context.json then
      local items = {}
      for i, row in ipairs(rows) do
        items[i] = json.pick(row,
          { "name", "pending", "workers", "paused_at", "paused_by", "pause_reason" })
      end
      context:print_items(items)
    elseif #rows == 0 then
      context.say(context.options.paused and "no queue is paused" or "no queues")
    else
      print_table(COLUMNS, rows)
    end
  end,
}
