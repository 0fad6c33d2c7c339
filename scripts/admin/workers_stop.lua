--- jobq workers stop W
local confirm = require "_confirm"
local failure = require "_failure"
local json = require "_json"
local poll = require "_poll"
local text = require "_text"
local time = require "_time"
local workers = require "_workers"

local WAIT_S = 60

local STOP = "select jobq.stop_worker($1::bigint, make_interval(secs => $2::float8)) as told"
local LIVING = [[
select count(*) as n from jobq.worker_status w
where w.state = 'running' and w.id = any ($1::bigint[])]]

local function chosen(context)
  local word, all = context.arguments.worker, context.options.all
  if (word ~= nil) == (all ~= nil) then
    failure.raise("usage", word and "WORKER excludes --all" or "WORKER is missing: its name or id",
      "jobq workers lists them; --all stops all of them")
  end
  return word and { workers.find(context, word) } or workers.alive(context)
end

local function wait(context, rows)
  local ids = {}
  for i, worker in ipairs(rows) do
    ids[i] = worker.id
  end
  local seconds = context.options.wait == true and WAIT_S or context.options.wait
  local gone = poll.wait(seconds, function()
    return context.db:row(LIVING, ids).n == 0 or nil
  end)
  if not gone then
    failure.raise("failed", ("after %s not all have stopped"):format(time.span(seconds)),
      "jobq workers shows who has not; --grace 0s stops their jobs")
  end
end

local function tell(context, rows, grace)
  local items = {}
  local outlook = grace == 0 and "go back in line" or grace and "have " .. time.span(grace)
    or "have its own grace"
  for i, worker in ipairs(rows) do
    context.db:row(STOP, worker.id, grace)
    items[i] = json.object { { "id", tostring(worker.id) }, { "name", worker.name } }
    if not context.json then
      context:print(("worker %s was asked to stop; its %s %s"):format(
        text.clean(worker.name), text.count(worker.claimed, "job"), outlook))
    end
  end
  io.stdout:flush()
  return items
end

return {
  group = "Kinds and workers",
  summary = "end a worker in order",
  text = [[
It claims nothing more, and its running jobs may finish within the grace; those that do not go back
in line. It leaves with exit status 0: a service manager that restarts it whatever happens will.
]],
  role = "jobq_admin",
  arguments = { { "[WORKER]", "its name or id" } },
  options = {
    { "--all", "every living worker" },
    { "--grace T", "for running jobs [its --shutdown-grace]", type = "duration" },
    { "--now", "the same as --grace 0s" },
    { "--wait[=T]", "until it has stopped, at most T [1m]", type = "duration" },
  },
  examples = {
    { "workers stop web2-4711" },
    { "workers stop web2-4711 --grace 5m --wait=6m", "let long jobs finish" },
    { "workers stop --all --now" },
  },

  run = function(context)
    local options = context.options
    if options.now and options.grace then
      failure.raise("usage", "--now excludes --grace")
    end
    local rows = chosen(context)
    if #rows > 1 then
      local count = text.count(#rows, "worker")
      confirm.check(context, #rows, "stop " .. count, "stopping " .. count)
    end
    local items = tell(context, rows, options.now and 0 or options.grace)
    if options.wait then
      wait(context, rows)
    end
    if context.json then
      context:print_items(items)
    elseif #rows == 0 then
      context.say "no worker is alive"
    end
  end,
}
