--- jobq resume QUEUE | --kind KIND
local json = require "_json"
local target = require "_target"

return {
  group = "Kinds and workers",
  summary = "let a paused queue or kind go on",
  role = "jobq_admin",
  arguments = { { "[QUEUE]", "the queue" } },
  options = {
    { "--kind KIND", "this kind instead" },
  },
  examples = { { "resume email" }, { "resume --kind report.make" } },

  run = function(context)
    local queue, kind, words = target.find(context)
    local done = context.db:row("select jobq.resume($1, $2) as done", queue, kind).done
    if context.json then
      context:print_json(json.object { { "queue", queue }, { "kind", kind }, { "done", done } })
    else
      context:print(done and words .. " goes on" or words .. " was not paused")
    end
  end,
}
