--- jobq retry ID... | FILTER
local actions = require "_actions"
local failure = require "_failure"
local filters = require "_filter"
local many = require "_many"
local text = require "_text"
local time = require "_time"

local ONE = [[
select r.done,
  case when r.done then 'pending' else j.status end as status, w.name as worker
from jobq.retry($1::bigint, make_interval(secs => $2::float8), $3::int, $4::text) r (done)
left join jobq.find($1::bigint) j on not r.done
left join jobq.worker_status w on w.id = j.worker_id and j.status = 'processing']]

local function by_id(context)
  local options = context.options
  return actions.each(context, ONE, function(id, row)
    if row.done then
      return ("job %d is pending again"):format(id)
    end
    local where = row.worker and " on " .. text.clean(row.worker) or ""
    return nil, ("job %d is %s%s, expected failed, cancelled or completed"):format(
      id, row.status, where)
  end, options.delay or 0, options.attempts, options.from_step)
end

local function by_filter(context)
  local options = context.options
  if options.from_step then
    failure.raise("usage", "--from-step goes with ids")
  end
  local delay, over = options.delay or 0, options.over or 0
  local more = options.over and " spread over " .. time.span(over)
    or options.delay and " in " .. time.span(delay) or ""
  return many.run(context, options, {
    name = "retry", gerund = "retrying", participle = "retried", done = "pending again",
    more = more, default = { "failed" },
    statuses = { failed = true, cancelled = true, completed = true },
    expected = "failed, cancelled or completed",
    call = function(bind, ids, n, total)
      local gap = over / math.max(total, 1)
      local sql = "jobq.retry_many(%s, make_interval(secs => %s), make_interval(secs => %s), %s)"
      return sql:format(ids, bind(delay + gap * n, "float8"), bind(gap, "float8"),
        bind(options.attempts, "int"))
    end,
  })
end

return {
  group = "Jobs",
  summary = "run jobs again that have failed, or were cancelled",
  text = [[
By id, or all that the options choose: of these the failed ones, unless --status says otherwise.
More than one is shown first, and asked for. A job keeps its id, its history and its unique key.
Steps that it has done are not done again, unless it is completed: then all are.
]],
  role = "jobq_admin",
  arguments = { { "[ID...]", "the jobs", type = "id" } },
  options = filters.options {
    { "--delay T", "wait that long first, e.g. 10m", type = "duration" },
    { "--over T", "spread them evenly over that time, e.g. 10m", type = "duration" },
    {
      "--attempts N", "that many attempts more [those that are left, at least 1]",
      type = "integer", min = 1, max = 1000,
    },
    { "--from-step NAME", "by id: do that step and what came after it again, too" },
    { "--dry-run", "only show what would be retried" },
  },
  examples = {
    { "retry 42" },
    { "retry --kind email.send --since 1h --dry-run", "look first" },
    { "retry --kind 'email.*' --error 421 --over 10m", "gently" },
  },

  run = function(context)
    return many.dispatch(context, by_id, by_filter, { "over", "dry-run" },
      "jobq retry --status failed --dry-run shows all that failed")
  end,
}
