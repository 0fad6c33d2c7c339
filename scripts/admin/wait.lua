--- jobq wait ID
local finish = require "_finish"

return {
  group = "Jobs",
  summary = "wait until a job has ended",
  text = [[
The exit status is that of the job: 0 if it completed; its result is printed. A job that is still
under way after --timeout goes on.
]],
  role = "jobq_reader",
  arguments = { { "ID", "the job", type = "id" } },
  options = {
    { "--timeout T", "at most that long, e.g. 30s [without end]", type = "duration" },
  },
  examples = { { "wait 42" }, { "wait 42 --timeout 1m --json" } },

  run = function(context)
    finish.wait(context, context.arguments.id, context.options.timeout)
  end,
}
