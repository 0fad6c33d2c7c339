--- jobq schedules add NAME CRON KIND [JSON]
local codec = require "jobq.json"
local read_args = require("_args").read
local json = require "_json"
local schemas = require "_schema"
local schedules = require "_schedules"
local text = require "_text"

local SQL = [[
select jobq.schedule(name => $1::text, expression => $2::text, kind => $3::text, args => $4::jsonb,
  zone => $5::text, overlap => $6::text, missed => $7::text,
  missed_window => make_interval(secs => $8::float8), jitter => make_interval(secs => $9::float8),
  options => $10::jsonb)]]

--- The options of its jobs, as jobq.enqueue_with takes them.
local function job_options(options)
  local given = {
    queue = options.queue, priority = options.priority, max_attempts = options.max_attempts,
    timeout = options.timeout, tags = options.tag and codec.array(options.tag),
  }
  return next(given) and codec.encode(given) or "{}"
end

return {
  group = "Schedules",
  summary = "a job at each time of a cron line",
  text = [[
Changes the schedule of that name if there is one. CRON has five fields (minute hour day month
weekday), six (second first), or is @yearly, @monthly, @weekly, @daily, @hourly, @minutely or
@every 90s. Fields take *, 5, 1-5, */15, mon-fri, several of these with commas, and L for the last
day of the month.

What it would have done before it was made or its line was changed is not made up.
]],
  role = "jobq_admin",
  arguments = {
    { "NAME", "of the schedule" },
    { "CRON", "when, in quotes, e.g. '30 3 * * mon-fri'" },
    { "KIND", "of its jobs" },
    { "[JSON]", "their arguments; - reads them from stdin; {} by default" },
  },
  options = {
    { "--zone ZONE", "in which the clock shows these times, e.g. Europe/Berlin [UTC]" },
    {
      "--overlap WHAT",
      "while an earlier job has not ended: skip, queue_one, queue, allow, cancel [skip]",
      type = "choice", choices = { "skip", "queue_one", "queue", "allow", "cancel" },
    },
    {
      "--missed WHAT", "of times that no worker was there for make: one, skip, all [one]",
      type = "choice", choices = { "one", "skip", "all" },
    },
    { "--window T", "how old such a time may be, e.g. 4h [1h]", type = "duration" },
    { "--jitter T", "each job waits a part of that", type = "duration" },
    { "--queue Q", "instead of the kind's own queue" },
    { "--priority N", "0 (soonest) to 9", type = "integer", min = 0, max = 9 },
    { "--tag TAG", "a label; may be repeated", many = true },
    { "--timeout T", "a run is stopped after that long", type = "duration" },
    { "--max-attempts N", "1 to 1000", type = "integer", min = 1, max = 1000 },
  },
  examples = {
    { "schedules add nightly '30 3 * * *' report.daily --zone Europe/Berlin" },
    { "schedules add poll '@every 90s' crm.poll '{\"pages\": 5}' --overlap queue_one" },
    { "schedules add billing '0 6 L * *' billing.run", "on the last day of each month" },
  },

  run = function(context)
    local given, options = context.arguments, context.options
    local args, value = read_args(given.json)
    local schema = schemas.of(context, given.kind)
    if schema then
      schemas.check(given.kind, schema, value)
    end
    context.db:row(SQL, given.name, given.cron, given.kind, args, options.zone, options.overlap,
      options.missed, options.window, options.jitter, job_options(options))
    if context.json then
      local tick = schedules.next_ticks(context, 1, given.name)[1]
      context:print_json(json.object {
        { "name", given.name }, { "next_tick", tick and tick.tick },
      })
    else
      context:print(("schedule %s: %s"):format(text.clean(given.name),
        schedules.next_in_words(context, given.name)))
    end
  end,
}
