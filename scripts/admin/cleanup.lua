--- jobq cleanup: what workers do hourly, now; or what finished before a time.
local failure = require "_failure"
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print

local FINISHED = { "completed", "failed", "cancelled" }

local COUNT = ([[
select j.status::text, count(*) as jobs, %s as oldest, %s as newest
from jobq.job j
where j.status::text = any ($1::text[])
  and j.finished_at < now() - make_interval(secs => $2::float8)
  and ($3::text is null or j.kind like $3)
group by j.status order by 1]]):format(jobs.iso "min(j.finished_at)", jobs.iso "max(j.finished_at)")

local CLEANUP = [[
select jobq.cleanup(keep => coalesce(make_interval(secs => $1::float8), '7 days')) as days]]

local DELETE = [[
select deleted, last_id
from jobq.delete_finished($1::timestamptz, $2::text[], $3::text, after_id => $4::bigint)]]

local COLUMNS = {
  { "status", "status" },
  { "jobs", "jobs", right = true },
  { "oldest", "oldest" },
  { "newest", "newest" },
}

local function preview(context, statuses, kind)
  local rows = context.db:query(COUNT, statuses, context.options.older_than, kind)
  if context.json then
    local items = {}
    for i, row in ipairs(rows) do
      items[i] = json.object {
        { "status", row.status }, { "jobs", row.jobs },
        { "oldest", row.oldest }, { "newest", row.newest },
      }
    end
    context:print_items(items)
  elseif #rows == 0 then
    context:print "nothing to delete"
  else
    print_table(COLUMNS, rows)
  end
end

-- In batches, each a transaction of its own. The time stands still meanwhile.
local function delete(context, statuses, kind)
  local limit = context.db:row("select (now() - make_interval(secs => $1::float8))::text as time",
    context.options.older_than).time
  local deleted, after = 0, 0
  while after do
    local row = context.db:row(DELETE, limit, statuses, kind, after)
    deleted, after = deleted + row.deleted, row.last_id
  end
  return deleted
end

local function report(context, days, deleted)
  if context.json then
    context:print_json(json.object { { "days_dropped", days }, { "jobs_deleted", deleted } })
    return
  end
  context:print(("%d days of finished jobs, error trails and logs dropped"):format(days))
  if context.options.older_than then
    context:print(("%d more jobs deleted"):format(deleted))
  end
end

return {
  group = "Database",
  summary = "drop finished jobs and logs that are past their time",
  text = [[
Workers do this every hour. Completed jobs and logs are kept for 7 days, failed and cancelled jobs
with their error trails for 90. With --older-than all jobs go that finished before that.
]],
  role = "jobq_admin",
  options = {
    { "--older-than T", "all that finished so long ago", type = "duration" },
    {
      "--status S", "of those, only completed, failed or cancelled; may be repeated",
      type = "choice", choices = FINISHED, many = true,
    },
    { "--kind K", "of those, only this kind; * stands for any text" },
    { "--dry-run", "only show what --older-than would delete" },
  },
  examples = {
    { "cleanup" },
    { "cleanup --older-than 30d --dry-run" },
    { "cleanup --older-than 1d --status completed --kind 'email.*'" },
  },

  run = function(context)
    local options = context.options
    local some = options.status or options.kind
    if not options.older_than then
      if some or options.dry_run then
        failure.raise("usage", "--older-than is missing", "jobq help cleanup")
      end
      return report(context, context.db:row(CLEANUP, nil).days, 0)
    end
    local statuses, kind = options.status or FINISHED, options.kind and jobs.like(options.kind)
    if options.dry_run then
      return preview(context, statuses, kind)
    end
    local days = some and 0 or context.db:row(CLEANUP, options.older_than).days
    report(context, days, delete(context, statuses, kind))
  end,
}
