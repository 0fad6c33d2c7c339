--- jobq limits set NAME
local failure = require "_failure"
local json = require "_json"
local text = require "_text"
local time = require "_time"

local SET = [[
select jobq.set_limit($1, $2, $3, $4::int, $5::int, make_interval(secs => $6::float8), $7::int,
  $8) as happened]]

-- "100/1m", or "5": a second.
local function parse_rate(word)
  if not word then
    return nil, 1
  end
  local number, per = word:match "^(%d+)/(.+)$"
  number = number or word:match "^%d+$"
  local seconds = per and time.parse(per:find "^%d" and per or "1" .. per) or not per and 1
  if not number or not seconds then
    failure.raise("usage", ("--rate: '%s' is no rate"):format(text.clean(word)),
      "write 10/1s, 100/1m or 5, which is a second")
  end
  return math.tointeger(tonumber(number)), seconds
end

local HAPPENED = {
  set = "is set; jobq limits shows when what was there before it is counted",
  changed = "is changed",
  unchanged = "is as it was",
}

return {
  group = "Kinds and workers",
  summary = "limit a queue or a kind, or change a limit",
  text = [[
Lower or higher, it binds at the next start; what runs goes on. To stop all, pause instead.

With --key-by each value counts by itself: the name of an argument, also inside others, as in
customer.id; or limit_key, an option of the enqueue.
]],
  role = "jobq_admin",
  arguments = { { "NAME", "the limit" } },
  options = {
    { "--queue Q", "of all jobs of this queue" },
    { "--kind KIND", "of all jobs of this kind, in whatever queue" },
    {
      "--running N", "at most so many at a time, over all workers", type = "integer", min = 1,
      max = 1000000,
    },
    { "--rate N/T", "at most so many starts in that time, e.g. 100/1m" },
    {
      "--burst N", "so many of these at once after a rest [N of --rate]", type = "integer",
      min = 1, max = 1000000,
    },
    { "--key-by NAME", "each value of this argument by itself" },
  },
  examples = {
    { "limits set smtp --queue email --running 10" },
    { "limits set api --kind shop.sync --rate 100/1m --burst 20" },
    { "limits set tenants --kind report.make --running 2 --key-by tenant" },
  },

  run = function(context)
    local options, name = context.options, context.arguments.name
    if (options.queue ~= nil) == (options.kind ~= nil) then
      failure.raise("usage", options.queue and "--queue excludes --kind"
        or "--queue or --kind is missing: what is to be limited")
    end
    local rate, per = parse_rate(options.rate)
    local happened = context.db:row(SET, name, options.queue, options.kind, options.running, rate,
      per, options.burst, options.key_by).happened
    if context.json then
      context:print_json(json.object { { "name", name }, { "happened", happened } })
    else
      context:print(("limit %s %s"):format(text.clean(name), HAPPENED[happened]))
    end
  end,
}
