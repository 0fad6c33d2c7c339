--- jobq stats: how many jobs of which kind are where.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local time = require "_time"
local watch = require "_watch"

local DAY = 86400

-- By queue and kind as jobq.stats answers, or one of the two summed up.
local PLACES = ([[
select %%s, s.status::text, sum(s.jobs)::bigint as jobs, bool_and(s.known) as known,
  (sum(s.jobs * s.mean_seconds) / nullif(sum(s.jobs) filter (where s.mean_seconds is not null), 0)
    )::float8 as mean_seconds,
  %s as oldest, %s as oldest_for
from jobq.stats(now() - make_interval(secs => $1::float8)) s
group by %%s, s.status order by %%s, s.status]]):format(
  jobs.iso "min(s.oldest)", jobs.age "min(s.oldest)")

local HOURS = ([[
select %s as hour, to_char(t.hour at time zone 'UTC', 'YYYY-MM-DD HH24:00') as shown, t.status,
  t.jobs, t.mean_seconds
from (
  select date_trunc('hour', j.finished_at, 'UTC') as hour, j.status, count(*) as jobs,
    avg(extract(epoch from j.finished_at - j.started_at))::float8 as mean_seconds
  from jobq.job j
  where j.status in ('completed', 'failed', 'cancelled')
    and j.finished_at >= now() - make_interval(secs => $1::float8)
  group by 1, 2) t
order by t.hour, t.status]]):format(jobs.iso "t.hour")

local KEYS = { kind = { "kind" }, queue = { "queue" }, hour = { "hour" } }
local BOTH = { "queue", "kind" }

local function find(context)
  local since, by = context.options.since or DAY, context.options.by
  if by == "hour" then
    return context.db:query(HOURS, since)
  end
  local keys = "s." .. table.concat(KEYS[by] or BOTH, ", s.")
  return context.db:query(PLACES:format(keys, keys, keys), since)
end

local function is_of(line, row)
  return line and line.queue == row.queue and line.kind == row.kind and line.hour == row.hour
end

--- One row a queue and kind, or whatever it goes by; the statuses as its columns.
local function pivot(rows)
  local lines = {}
  for _, row in ipairs(rows) do
    local last = lines[#lines]
    if not is_of(last, row) then
      last = {
        queue = row.queue, kind = row.kind, hour = row.hour, shown = row.shown, known = row.known,
      }
      table.insert(lines, last)
    end
    last[row.status] = row.jobs
    if row.status == "pending" then
      last.oldest_for, last.known = row.oldest_for, row.known
    elseif row.status == "completed" then
      last.mean = row.mean_seconds
    end
  end
  return lines
end

local function count(status)
  return {
    status, function(line) return line[status] or 0 end, right = true, status = status,
    paint = function(line) return status == "failed" and line.failed and "failed" end,
  }
end

-- Columns that hold nothing but zeros most of the time.
local RARE = { processing = true, cancelled = true }
local LIVING = { pending = true, processing = true }

local function columns_for(columns, lines, by)
  local shown = {}
  for _, column in ipairs(columns) do
    local used = not RARE[column.status] and not (by == "hour" and LIVING[column.status])
    for _, line in ipairs(lines) do
      used = used or line[column.status] ~= nil
    end
    table.insert(shown, used and column or nil)
  end
  return shown
end

local COLUMNS = {
  { "hour (UTC)", "shown", optional = true },
  { "queue", "queue", flex = true, optional = true },
  { "kind", "kind", flex = true, optional = true },
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

local function to_items(rows, by)
  local items = {}
  local names = table.move(by and KEYS[by] or BOTH, 1, 2, 1, {})
  local more = by == "hour" and { "status", "jobs", "mean_seconds" }
    or { "status", "jobs", "oldest", "mean_seconds", "known" }
  table.move(more, 1, #more, #names + 1, names)
  for i, row in ipairs(rows) do
    items[i] = json.pick(row, names)
  end
  return items
end

local function show(context, rows)
  local by = context.options.by
  if context.json then
    context:print_items(to_items(rows, by))
  elseif #rows == 0 then
    context.say "no jobs"
  else
    local lines = pivot(rows)
    print_table(columns_for(COLUMNS, lines, by), lines)
  end
end

return {
  group = "Jobs",
  summary = "how many jobs, by queue and kind",
  text = "Oldest: how long the first pending job has been due. Mean: what a completed job took.\n",
  role = "jobq_reader",
  options = {
    {
      "--by WHAT", "kind, queue, or hour of those that ended [queue and kind]", type = "choice",
      choices = { "kind", "queue", "hour" },
    },
    { "--since T", "finished jobs of that time only [24h]", type = "duration" },
    watch.option,
  },
  examples = {
    { "stats" },
    { "stats --by hour --since 12h" },
    { "stats --by queue --watch", "again and again" },
  },

  run = function(context)
    return watch.run(context, function()
      local rows = find(context)
      return function()
        show(context, rows)
      end
    end)
  end,
}
