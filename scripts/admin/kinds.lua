--- jobq kinds: what there is to run, and who does.
local json = require "_json"
local jobs = require "_jobs"
local print_table = require("_table").print
local time = require "_time"

local SQL = ([[
select k.name, k.queue, k.summary, k.priority, k.max_attempts, k.timeout_s, k.schema::text,
  k.source, k.workers, k.pending, %s as declared_at, %s as paused_at, p.author as paused_by,
  p.reason as pause_reason, extract(epoch from now() - p.at)::float8 as paused_for
from jobq.kind_status k
left join jobq.pause_status p on p.kind = k.name
where (not $1::boolean or k.workers = 0 and k.pending > 0) and ($2::text is null or k.name like $2)
order by k.name]]):format(jobs.iso "k.declared_at", jobs.iso "p.at")

local COLUMNS = {
  { "kind", "name", flex = true },
  { "queue", "queue", flex = true },
  { "pending", "pending", right = true },
  {
    "workers", function(k) return k.workers > 0 and k.workers or "none" end, right = true,
    paint = function(k) return k.workers == 0 and "warn" end,
  },
  {
    "paused",
    function(k)
      return k.paused_by and ("for %s by %s"):format(time.span(k.paused_for), k.paused_by)
    end,
    flex = true, optional = true, paint = function(k) return k.paused_by and "warn" end,
  },
  { "summary", "summary", flex = true, optional = true },
  { "source", "source", flex = true, optional = true },
}

local function to_items(rows)
  local items = {}
  for i, row in ipairs(rows) do
    row.schema = json.raw(row.schema)
    items[i] = json.pick(row, {
      "name", "queue", "summary", "priority", "max_attempts", "timeout_s", "schema", "source",
      "declared_at", "workers", "pending", "paused_at", "paused_by", "pause_reason",
    })
  end
  return items
end

return {
  group = "Kinds and workers",
  summary = "the kinds of jobs, and how many workers run each",
  text = [[
A kind is there once a worker has declared it or a job of it was added. Workers: those alive that
know it and serve its queue.
]],
  role = "jobq_reader",
  options = {
    { "--orphans", "only those with waiting jobs that no living worker runs" },
    { "--kind PATTERN", "e.g. 'email.*'" },
  },
  examples = {
    { "kinds" },
    { "kinds --orphans", "a name misspelt, or a worker missing" },
    { "kinds --kind email.send --json", "with the JSON Schema of its arguments" },
  },

  run = function(context)
    local options = context.options
    local rows = context.db:query(SQL, options.orphans or false,
      options.kind and jobs.like(options.kind))
    if context.json then
      context:print_items(to_items(rows))
    elseif #rows == 0 then
      context.say(options.orphans and "no orphans" or "no kinds")
    else
      print_table(COLUMNS, rows)
    end
  end,
}
