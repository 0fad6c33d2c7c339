--- jobq reload: workers read their handlers again.
local json = require "_json"

return {
  group = "Kinds and workers",
  summary = "have all workers load their handlers again",
  text = [[
New jobs go to the new code once all of it has loaded; what runs ends on the old. A worker whose
handlers do not load keeps the old code and says so in jobq workers.
]],
  role = "jobq_admin",
  examples = { { "reload" } },

  run = function(context)
    local told = context.db:row("select jobq.reload() as n").n
    if context.json then
      context:print_json(json.object { { "workers", told } })
    else
      context:print(("%d workers were told; jobq workers shows what does not load"):format(told))
    end
  end,
}
