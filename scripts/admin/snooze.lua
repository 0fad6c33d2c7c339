--- jobq snooze ID... T | FILTER T
local actions = require "_actions"
local failure = require "_failure"
local filters = require "_filter"
local many = require "_many"
local options_of = require "_options"
local text = require "_text"
local time = require "_time"

local ONE = [[
select r.done, case when r.done then 'pending' else j.status end as status
from jobq.snooze($1::bigint, make_interval(secs => $2::float8)) r (done)
left join jobq.find($1::bigint) j on not r.done]]

local function read(word, type_name)
  local value, message = options_of.types[type_name](word, {})
  if not value then
    failure.raise("usage", text.clean(message))
  elseif value == 0 then
    failure.raise("usage", ("T: '%s' is too short, expected more than 0"):format(word))
  end
  return value
end

-- What is no id is how long.
local function split(words)
  local ids, spans = {}, {}
  for _, word in ipairs(words) do
    local is_id = word:find "^%d+$"
    table.insert(is_id and ids or spans, read(word, is_id and "id" or "duration"))
  end
  if #spans ~= 1 then
    failure.raise("usage", ("expected one duration, got %d"):format(#spans),
      "jobq snooze 42 10m; the unit is needed")
  end
  return ids, spans[1]
end

local function by_id(context, span)
  return actions.each(context, ONE, function(id, row)
    if row.done then
      return ("job %d is put off by %s"):format(id, time.span(span))
    end
    return nil, ("job %d is %s, expected pending"):format(id, row.status)
  end, span)
end

local function by_filter(context, span)
  return many.run(context, context.options, {
    name = "put off", gerund = "putting off", participle = "put off", done = "put off",
    more = " by " .. time.span(span), default = { "pending" }, statuses = { pending = true },
    expected = "pending",
    call = function(bind, ids)
      return ("jobq.edit_many(%s, delay => make_interval(secs => %s))"):format(
        ids, bind(span, "float8"))
    end,
  })
end

return {
  group = "Jobs",
  summary = "put waiting jobs off",
  text = [[
By id, or all that the options choose; more than one is shown first, and asked for. What is due
waits that long from now, what is scheduled that much longer.
]],
  role = "jobq_admin",
  arguments = { { "[ID...]", "the jobs, and how long: 42 43 10m" } },
  options = filters.options {
    many.AFTER,
    { "--dry-run", "only show what would be put off" },
  },
  examples = {
    { "snooze 42 10m" },
    { "snooze --kind 'report.*' 2h --dry-run", "look first" },
  },

  run = function(context)
    local ids, span = split(context.arguments.id)
    context.arguments.id = ids
    return many.dispatch(context, function() return by_id(context, span) end,
      function() return by_filter(context, span) end, { "after", "dry-run" },
      "jobq snooze --kind 'report.*' 10m --dry-run")
  end,
}
