--- jobq edit ID
local codec = require "jobq.json"
local failure = require "_failure"
local filters = require "_filter"
local jobs = require "_jobs"
local many = require "_many"
local schemas = require "_schema"
local text = require "_text"

local FIND = [[
select j.kind, j.status, j.args::text, w.name as worker
from jobq.find($1::bigint) j left join jobq.worker_status w on w.id = j.worker_id]]

local EDIT = [[
select jobq.edit($1::bigint, $2::jsonb, $3::int, $4::timestamptz, was => $5::json) as status]]

local SET = [[
select s.args::text, s.args #> $2::text[] is not null as done
from jsonb_set($1::jsonb, $2::text[], $3::jsonb) s (args)]]

local EDITABLE = { pending = true, failed = true, cancelled = true }

local function find(context, id)
  local job = context.db:row(FIND, id)
  if not job then
    failure.raise("not_found", ("job %d does not exist"):format(id), jobs.KEPT)
  elseif not EDITABLE[job.status] then
    failure.raise("refused", ("job %d is %s%s, expected pending, failed or cancelled"):format(
      id, job.status, job.status == "processing" and job.worker
        and " on " .. text.clean(job.worker) or ""))
  end
  return job
end

-- JSON if it is, unless the schema says that a text is meant; else a text.
local function value_of(word, schema)
  local wants_text = schema and schema.type == "string"
  local value, message = codec.decode(word)
  if wants_text or (value == nil and message) then
    return codec.encode(word)
  end
  return word
end

local function set(context, job, schema)
  local args = job.args
  for _, pair in ipairs(context.options.set) do
    local path = filters.path(pair[1])
    local row = context.db:row(SET, args, path, value_of(pair[2], schemas.at(schema, path)))
    if not row.done then
      failure.raise("usage", ("--set: there is no place for '%s' in the arguments"):format(
        text.clean(pair[1])), "set what is around it as JSON: --set 'customer={\"id\": 42}'")
    end
    args = row.args
  end
  return args
end

local function read(path)
  local file, message = io.open(path)
  if not file then
    failure.raise("failed", message)
  end
  local body = file:read "a"
  file:close()
  return body
end

local function write(path, body)
  local file = assert(io.open(path, "w"))
  file:write(body, "\n")
  file:close()
end

-- The arguments as somebody left them in their editor; the file stays if they cannot be used.
local function in_editor(context, id, job, schema)
  if not context:can_ask() then
    failure.raise("usage", "nothing to change is given, and stdin is no terminal for an editor",
      ("jobq edit %d --set NAME=VALUE"):format(id))
  end
  local path = os.tmpname()
  local editor = os.getenv "VISUAL" or os.getenv "EDITOR" or "vi"
  write(path, context.db:row("select jsonb_pretty($1::jsonb) as args", job.args).args)
  local ended_well = os.execute(("%s '%s'"):format(editor, path))
  local body = read(path)
  local function check()
    if not ended_well then
      failure.raise("failed", ("the editor '%s' failed"):format(editor))
    end
    local value, message = codec.decode(body)
    if value == nil and message then
      failure.raise("usage", "JSON: " .. text.clean(message))
    elseif schema then
      schemas.check(job.kind, schema, value)
    end
  end
  local is_good, problem = pcall(check)
  if not is_good then
    context.say("what you wrote is in " .. path)
    error(problem, 0)
  end
  os.remove(path)
  return body
end

local function new_args(context, id, job)
  local options = context.options
  local schema = schemas.of(context, job.kind)
  if options.set then
    local args = set(context, job, schema)
    if schema then
      schemas.check(job.kind, schema, codec.decode(args))
    end
    return args
  elseif not options.priority and not options.at and not options.to_queue then
    return in_editor(context, id, job, schema)
  end
end

local function report(context, id, status, before)
  local job = context.db:row(("select %s from jobq.find($1::bigint) j"):format(jobs.COLUMNS), id)
  if context.json then
    context:print_json(jobs.to_json(job))
    return
  end
  context:print(("job %d is %s, priority %d%s"):format(id, status, job.priority,
    status == "pending" and ", " .. jobs.when(job) or ""))
  if job.args ~= before then
    context:print("args  " .. text.clean(job.args))
    context:print("were  " .. text.clean(before))
  end
  if status ~= "pending" then
    context.say(("jobq retry %d runs it"):format(id))
  end
end

-- The point in time that --at means; nil without.
local function time_of(context)
  local at = context.options.at
  return at and (at.at or context.db:row(
    "select (now() + make_interval(secs => $1::float8))::text as at", at.ago).at)
end

local function move(context, id, queue)
  local moved = context.db:query(
    "select from jobq.edit_many(array[$1::bigint], queue => $2::text)", id, queue)
  if not moved[1] then
    failure.raise("refused", ("job %d does not wait, so it is in no queue"):format(id))
  end
end

local function by_id(context, id)
  local options = context.options
  local job = find(context, id)
  local args, at = new_args(context, id, job), time_of(context)
  if options.to_queue then
    move(context, id, options.to_queue)
  end
  local status = context.db:row(EDIT, id, args, options.priority, at, job.args).status
  if not EDITABLE[status] then
    failure.raise("refused", ("job %d is %s by now"):format(id, status or "gone"))
  end
  report(context, id, status, job.args)
end

local function by_filter(context)
  local options = context.options
  if options.set then
    failure.raise("usage", "--set is for one job, by its id")
  elseif not options.priority and not options.at and not options.to_queue then
    failure.raise("usage", "nothing to change is given", "--priority, --at or --to-queue")
  end
  local at = time_of(context)
  return many.run(context, options, {
    name = "change", gerund = "changing", participle = "changed", done = "changed",
    default = { "pending" }, statuses = { pending = true }, expected = "pending",
    call = function(bind, ids)
      local sql = "jobq.edit_many(%s, priority => %s, run_at => %s, queue => %s)"
      return sql:format(ids, bind(options.priority, "int"), bind(at, "timestamptz"),
        bind(options.to_queue, "text"))
    end,
  })
end

return {
  group = "Jobs",
  summary = "change a job that waits, failed or was cancelled; or many that wait",
  text = [[
Without options the arguments open in $VISUAL, $EDITOR or vi. What is written must fit what the
handler of the kind says of its arguments. If the job changes meanwhile, nothing is done. Options
that choose jobs change all of these that wait, after they were shown.
]],
  role = "jobq_admin",
  arguments = { { "[ID]", "the job", type = "id" } },
  options = filters.options {
    {
      "--set NAME=VALUE", "an argument: JSON, else a text; a.b=1 and to.0=x go inside",
      type = "pair", many = true,
    },
    { "--priority N", "0 (soonest) to 9", type = "integer", min = 0, max = 9 },
    { "--at TIME", "when it is to run; a duration is from now", type = "moment" },
    { "--to-queue Q", "the queue that it is to wait in" },
    many.AFTER,
    { "--dry-run", "only show what would be changed" },
  },
  examples = {
    { "edit 42 --set subject=hello --set to.0=ann@example.org" },
    { "edit 42 --priority 0 --at 10m" },
    { "edit 42", "in an editor" },
    { "edit --kind 'report.*' --priority 9 --to-queue bulk", "many" },
  },

  run = function(context)
    local id = context.arguments.id
    context.arguments.id = { id }
    return many.dispatch(context, function() return by_id(context, id) end, by_filter,
      { "after", "dry-run" }, "jobq edit 42, or jobq edit --kind 'report.*' --priority 9 --dry-run")
  end,
}
