--- jobq cancel ID... | FILTER
local actions = require "_actions"
local filters = require "_filter"
local many = require "_many"

local ONE = "select jobq.cancel($1::bigint, $2::text, $3::text)::text as status"

local function by_id(context)
  return actions.each(context, ONE, function(id, row)
    if row.status == "cancelled" then
      return ("job %d cancelled"):format(id)
    elseif row.status == "processing" then
      return ("job %d is processing and was asked to stop"):format(id)
    end
    return nil, ("job %d is %s, it is too late to cancel it"):format(id, row.status)
  end, context.options.reason, context.options.by)
end

local function by_filter(context)
  return many.run(context, context.options, {
    name = "cancel", gerund = "cancelling", participle = "cancelled",
    done = "cancelled or asked to stop",
    default = { "pending", "processing" }, statuses = { pending = true, processing = true },
    expected = "pending or processing",
    call = function(bind, ids)
      local sql = "jobq.cancel_many(%s, %s, %s) c where c.status in ('cancelled', 'processing')"
      return sql:format(ids, bind(context.options.reason, "text"),
        bind(context.options.by, "text"))
    end,
  })
end

return {
  group = "Jobs",
  summary = "end jobs that wait, and ask running ones to stop",
  text = [[
By id, or all that the options choose; more than one is shown first, and asked for. A running job
is stopped at its next wait, or after a moment if it computes. jobq retry takes a cancellation back.
]],
  role = "jobq_admin",
  arguments = { { "[ID...]", "the jobs", type = "id" } },
  options = filters.options {
    { "--reason TEXT", "why; becomes the error of the jobs" },
    { "--by WHO", "who asks for it [the role of the session]" },
    many.AFTER,
    { "--dry-run", "only show what would be cancelled" },
  },
  examples = {
    { "cancel 42" },
    { "cancel 42 43 --reason 'wrong address'" },
    { "cancel --queue bulk --status pending --dry-run", "look first" },
  },

  run = function(context)
    return many.dispatch(context, by_id, by_filter, { "after", "dry-run" },
      "jobq cancel --status pending --dry-run shows all that wait")
  end,
}
