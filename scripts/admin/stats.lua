--- jobq stats: how many jobs of which kind are where.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local time = require "_time"

local SQL = ([[
select s.queue, s.kind, s.status::text, s.jobs, s.known, s.mean_seconds::float8,
  %s as oldest, %s as oldest_for
from jobq.stats(now() - make_interval(secs => $1::float8)) s
order by s.queue, s.kind, s.status]]):format(jobs.iso "s.oldest", jobs.age "s.oldest")

local DAY = 86400

--- One row a queue and kind, the statuses as its columns.
local function pivot(rows)
  local lines, last = {}, nil
  for _, row in ipairs(rows) do
    if not last or last.queue ~= row.queue or last.kind ~= row.kind then
      last = { queue = row.queue, kind = row.kind, known = row.known }
      table.insert(lines, last)
    end
    last[row.status] = row.jobs
    if row.status == "pending" then
      last.oldest_for = row.oldest_for
    elseif row.status == "completed" then
      last.mean = row.mean_seconds
    end
  end
  return lines
end

local function count(status)
  return { status, function(line) return line[status] or 0 end, right = true, status = status }
end

-- Columns that hold nothing but zeros most of the time.
local RARE = { processing = true, cancelled = true }

local function columns_for(columns, lines)
  local shown = {}
  for _, column in ipairs(columns) do
    local used = not RARE[column.status]
    for _, line in ipairs(lines) do
      used = used or line[column.status] ~= nil
    end
    table.insert(shown, used and column or nil)
  end
  return shown
end

local COLUMNS = {
  { "queue", "queue", flex = true },
  { "kind", "kind", flex = true },
  count "pending", count "processing", count "completed", count "failed", count "cancelled",
  {
    "oldest",
    function(line)
      return line.oldest_for and line.oldest_for > 0 and time.span(line.oldest_for)
        or line.oldest_for and time.ago(line.oldest_for) or nil
    end,
    right = true, optional = true,
  },
  {
    "mean", function(line) return line.mean and time.span(line.mean) end,
    right = true, optional = true,
  },
  {
    "run by", function(line) return line.pending and not line.known and "nobody" or nil end,
    optional = true,
  },
}

local function to_items(rows)
  local items = {}
  for i, row in ipairs(rows) do
    items[i] = json.pick(row,
      { "queue", "kind", "status", "jobs", "oldest", "mean_seconds", "known" })
  end
  return items
end

return {
  group = "Jobs",
  summary = "how many jobs, by queue and kind",
  text = "Oldest: how long the first pending job has been due. Mean: what a completed job took.\n",
  role = "jobq_reader",
  options = { { "--since T", "finished jobs of that time only [24h]", type = "duration" } },
  examples = { { "stats" }, { "stats --since 7d" }, { "stats --json" } },

  run = function(context)
    local rows = context.db:query(SQL, context.options.since or DAY)
    if context.json then
      context:print_items(to_items(rows))
    elseif #rows == 0 then
      context.say "no jobs"
    else
      local lines = pivot(rows)
      print_table(columns_for(COLUMNS, lines), lines)
    end
  end,
}
