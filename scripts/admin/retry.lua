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
from jobq.retry($1::bigint, make_interval(secs => $2::float8), $3::int, $4::text,
  $5::int) r (done)
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
  end, options.delay or 0, options.attempts, options.from_step, options.priority)
end

-- What the question says besides.
local function more(options)
  if options.from_step then
    failure.raise("usage", "--from-step goes with ids")
  elseif options.over and options.gap then
    failure.raise("usage", "give --over or --gap, not both")
  elseif options.gap then
    return " one every " .. time.span(options.gap)
  elseif options.over then
    return " spread over " .. time.span(options.over)
  end
  return options.delay and " in " .. time.span(options.delay) or ""
end

local function by_filter(context)
  local options = context.options
  local delay, over = options.delay or 0, options.over or 0
  return many.run(context, options, {
    name = "retry", gerund = "retrying", participle = "retried", done = "pending again",
    more = more(options), default = { "failed" }, by_error = true,
    statuses = { failed = true, cancelled = true, completed = true },
    expected = "failed, cancelled or completed",
    call = function(bind, ids, n, total)
      local gap = options.gap or over / math.max(total, 1)
      local sql = [[
        jobq.retry_many(%s, make_interval(secs => %s), make_interval(secs => %s), %s, %s)]]
      return sql:format(ids, bind(delay + gap * n, "float8"), bind(gap, "float8"),
        bind(options.attempts, "int"), bind(options.priority, "int"))
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
    { "--gap T", "one after the other, so far apart, e.g. 100ms", type = "duration" },
    { "--priority N", "0 (soonest) to 9, not their own", type = "integer", min = 0, max = 9 },
    {
      "--attempts N", "that many attempts more [those that are left, at least 1]",
      type = "integer", min = 1, max = 1000,
    },
    { "--from-step NAME", "by id: do that step and what came after it again, too" },
    many.AFTER,
    { "--dry-run", "only show what would be retried, by kind and error" },
  },
  examples = {
    { "retry 42" },
    { "retry --kind email.send --since 1h --dry-run", "look first" },
    { "retry --kind 'email.*' --error 421 --over 10m", "gently" },
    { "retry --kind report.daily --since 1d --gap 100ms --priority 9", "behind all others" },
  },

  run = function(context)
    return many.dispatch(context, by_id, by_filter, { "over", "gap", "after", "dry-run" },
      "jobq retry --status failed --dry-run shows all that failed")
  end,
}
