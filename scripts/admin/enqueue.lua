--- jobq enqueue KIND [JSON|-]
local failure = require "_failure"
local finish = require "_finish"
local json = require "_json"
local read_args = require("_args").read
local schemas = require "_schema"
local text = require "_text"

local SQL = [[
select id, happened
from jobq.enqueue_with($1::text, $2::jsonb, jsonb_strip_nulls(jsonb_build_object(
  'queue', $3::text, 'priority', $4::int, 'run_at', $5::timestamptz, 'delay', $6::float8,
  'max_attempts', $7::int, 'timeout', $8::float8, 'unique_key', $9::text, 'tags', $10::text[],
  'expires_in', $11::float8, 'batch', $12::bigint, 'unique_fields', $13::text[],
  'unique_for', $14::float8, 'unique_aligned', $15::boolean, 'unique_until', $16::text,
  'on_conflict', $17::text, 'max_wait', $18::float8, 'limit_key', $19::text,
  'cost', $20::int)))]]

-- What became of a job whose key was taken.
local NOTES = {
  kept = "job %d already holds %s",
  replaced = "job %d already held %s and has the new arguments",
  debounced = "job %d already held %s, has the new arguments and is put off",
  appended = "job %d already held %s, and what was new is appended",
  followed = "job %d runs after the one that holds %s",
  superseded = "job %d comes instead of the one that held %s",
}

local function say_what_happened(context, row, options)
  local key = options.unique and ("unique_key %q"):format(options.unique)
    or "the key of " .. table.concat(options.unique_field or {}, ", ")
  if NOTES[row.happened] then
    context.say(NOTES[row.happened]:format(row.id, text.clean(key)))
  end
end

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
    { "--unique-field F", "this argument makes the key; may be repeated", many = true },
    {
      "--unique-until S", "the key is held until the job has got so far [finished]",
      type = "choice", choices = { "start", "finished", "succeeded" },
    },
    { "--unique-for T", "it is held that long instead, or that long at least", type = "duration" },
    { "--unique-aligned", "such spans begin as the clock says: at full hours, days" },
    {
      "--on-conflict WAY", "what to do when the key is taken [keep]", type = "choice",
      choices = { "keep", "replace", "debounce", "append", "follow", "supersede" },
    },
    { "--max-wait T", "debounce puts off at most that long after the first", type = "duration" },
    { "--batch ID", "makes it a member of this batch, which is open", type = "id" },
    { "--limit-key KEY", "what limits by limit_key count it under" },
    {
      "--cost N", "so many starts where a limit has a rate [1]", type = "integer", min = 1,
      max = 1000000,
    },
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
    { "enqueue index.build --unique all --on-conflict follow", "again after the one that runs" },
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
      options.expires_in, options.batch, options.unique_field, options.unique_for,
      options.unique_aligned, options.unique_until, options.on_conflict, options.max_wait,
      options.limit_key, options.cost)
    say_what_happened(context, row, options)
    if not context.json then
      context:print(tostring(row.id))
      io.stdout:flush()
    elseif not options.wait then
      context:print_json(json.object {
        { "id", tostring(row.id) }, { "happened", row.happened },
      })
    end
    if options.wait then
      finish.wait(context, row.id, options.wait ~= true and options.wait or nil)
    end
  end,
}
