--- jobq enqueue KIND [JSON|-]
local failure = require "_failure"
local finish = require "_finish"
local json = require "_json"
local read_args = require("_args").read
local schemas = require "_schema"
local text = require "_text"

local SQL = [[
select jobq.enqueue(
  kind => $1::text, args => $2::jsonb, queue => $3::text, priority => $4::int,
  run_at => $5::timestamptz, delay => make_interval(secs => $6::float8),
  max_attempts => $7::int, timeout => make_interval(secs => $8::float8),
  unique_key => $9::text, tags => $10::text[],
  expires_in => make_interval(secs => $11::float8), batch => $12::bigint,
  limit_key => $13::text) as id]]

-- A time that PostgreSQL cannot read is a wrong value, told before anything is tried.
local function check_time(context, at)
  local rows, message = context.db:try("select $1::timestamptz", at)
  if at and not rows then
    failure.raise("usage", ("--at: %s"):format(text.clean(message)),
      "write 2030-12-24T08:00:00Z, or --delay 10m")
  end
end

return {
  group = "Jobs",
  summary = "add a job",
  text = [[
Prints its id. Arguments are checked first against what a worker has published of the kind. With
--wait the exit status is that of the job: 0 if it completed.
]],
  role = "jobq_producer",
  creates = true,
  arguments = {
    { "KIND", "what is to be done, e.g. email.send" },
    { "[JSON]", "its arguments; - reads them from stdin; {} by default" },
  },
  options = {
    { "--queue Q", "instead of the kind's own queue" },
    { "--priority N", "0 (soonest) to 9", type = "integer", min = 0, max = 9 },
    { "--delay T", "not before that long from now, e.g. 10m", type = "duration" },
    { "--at TIME", "not before that time, e.g. 2030-12-24T08:00:00Z" },
    { "--tag TAG", "a label; may be repeated", many = true },
    { "--unique KEY", "at most one waiting or running job of this kind has it" },
    { "--batch ID", "makes it a member of this batch, which is open", type = "id" },
    { "--limit-key KEY", "what limits by limit_key count it under" },
    { "--timeout T", "a run is stopped after that long", type = "duration" },
    { "--expires-in T", "cancelled if it has not begun so long after its time", type = "duration" },
    { "--max-attempts N", "1 to 1000", type = "integer", min = 1, max = 1000 },
    { "--wait[=T]", "until it has ended, at most T; prints its result", type = "duration" },
  },
  examples = {
    { [[enqueue email.send '{"to": ["ann@example.org"], "subject": "hi"}']] },
    { "enqueue report.daily --delay 10m --tag night" },
    { "enqueue file.scan '{\"path\": \"a\"}' --wait=1m", "and its result" },
    { "enqueue file.compress - < args.json", "arguments from a file" },
  },

  run = function(context)
    local given, options = context.arguments, context.options
    local args, value = read_args(given.json)
    if options.at then
      context.db:query "select"
      check_time(context, options.at)
    end
    local schema = schemas.of(context, given.kind)
    if schema then
      schemas.check(given.kind, schema, value)
    end
    local row = context.db:row(SQL, given.kind, args, options.queue, options.priority, options.at,
      options.delay, options.max_attempts, options.timeout, options.unique, options.tag,
      options.expires_in, options.batch, options.limit_key)
    if not context.json then
      context:print(tostring(row.id))
      io.stdout:flush()
    elseif not options.wait then
      context:print_json(json.object { { "id", tostring(row.id) } })
    end
    if options.wait then
      finish.wait(context, row.id, options.wait ~= true and options.wait or nil)
    end
  end,
}
