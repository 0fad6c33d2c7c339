--- jobq delete ID... | FILTER
local actions = require "_actions"
local filters = require "_filter"
local many = require "_many"

local ENDED = { "completed", "failed", "cancelled" }

local ONE = [[
select case when exists (select from jobq.delete_many(array[$1::bigint])) then 'deleted'
  else (select j.status from jobq.find($1::bigint) j) end as status]]

local function by_id(context)
  return actions.each(context, ONE, function(id, row)
    if row.status == "deleted" then
      return ("job %d deleted"):format(id)
    end
    return nil, ("job %d is %s, expected completed, failed or cancelled"):format(id, row.status)
  end)
end

local function by_filter(context)
  return many.run(context, context.options, {
    name = "delete", gerund = "deleting", participle = "deleted", done = "deleted",
    default = ENDED, statuses = { completed = true, failed = true, cancelled = true },
    expected = "completed, failed or cancelled",
    call = function(_, ids) return ("jobq.delete_many(%s)"):format(ids) end,
  })
end

return {
  group = "Jobs",
  summary = "delete jobs that have ended",
  text = [[
By id, or all that the options choose; more than one is shown first, and asked for. They are gone
for good, with their results. Jobs that wait or run are cancelled first: jobq cancel. Old ones go by
themselves: jobq help cleanup.
]],
  role = "jobq_admin",
  arguments = { { "[ID...]", "the jobs", type = "id" } },
  options = filters.options {
    many.AFTER,
    { "--dry-run", "only show what would be deleted" },
  },
  examples = {
    { "delete 42" },
    { "delete --status failed --kind report.daily --until 30d --dry-run", "look first" },
  },

  run = function(context)
    return many.dispatch(context, by_id, by_filter, { "after", "dry-run" },
      "jobq delete --status failed --dry-run shows all that failed")
  end,
}
