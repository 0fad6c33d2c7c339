--- jobq pause QUEUE | --kind KIND
local json = require "_json"
local target = require "_target"
local text = require "_text"
local time = require "_time"

local PAUSE = "select jobq.pause($1, $2, $3, coalesce($4, session_user)) as done"

local PAUSED = [[
select extract(epoch from now() - p.at)::float8 as since_s, p.author, p.reason
from jobq.pause_status p where p.queue = $1 or p.kind = $2]]

local JOBS = [[
select j.status, count(*) as n from jobq.job j
where j.status in ('pending', 'processing') and (j.queue = $1 or j.kind = $2) group by 1]]

local function describe(paused)
  return ("for %s by %s%s"):format(time.span(paused.since_s), text.clean(paused.author),
    paused.reason and ": " .. text.clean(paused.reason) or "")
end

local function tell(context, words, counts)
  local word = context.arguments.queue or "--kind " .. context.options.kind
  context:print(("%s is paused; %s on, %s; jobq resume %s undoes it"):format(words,
    counts.processing == 1 and "1 running job goes" or ("%d running jobs go"):format(
      counts.processing),
    counts.pending == 1 and "1 waits" or ("%d wait"):format(counts.pending), text.clean(word)))
end

return {
  group = "Kinds and workers",
  summary = "start no more jobs of a queue or of a kind",
  text = [[
What runs goes on, and jobs may still be added. jobq queues and jobq why show who paused it and
why.
]],
  role = "jobq_admin",
  arguments = { { "[QUEUE]", "the queue" } },
  options = {
    { "--kind KIND", "this kind instead, in whatever queue" },
    { "--reason TEXT", "for the others" },
  },
  examples = {
    { 'pause email --reason "smtp limit"' },
    { "pause --kind report.make" },
  },

  run = function(context)
    local queue, kind, words = target.find(context)
    local author = os.getenv "USER" or os.getenv "LOGNAME"
    local done = context.db:row(PAUSE, queue, kind, context.options.reason, author).done
    local counts = { pending = 0, processing = 0 }
    for _, row in ipairs(context.db:query(JOBS, queue, kind)) do
      counts[row.status] = row.n
    end
    if context.json then
      context:print_json(json.object {
        { "queue", queue }, { "kind", kind }, { "done", done },
        { "pending", counts.pending }, { "processing", counts.processing },
      })
    elseif done then
      tell(context, words, counts)
    else
      local paused = context.db:row(PAUSED, queue, kind)
      context:print(words .. " has been paused " .. (paused and describe(paused) or "before"))
    end
  end,
}
