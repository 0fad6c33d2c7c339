--- jobq schedules resume NAME
local json = require "_json"
local schedules = require "_schedules"
local text = require "_text"

return {
  group = "Schedules",
  summary = "let a paused schedule go on",
  text = [[
With its next time: those of the pause are not made up.
]],
  role = "jobq_admin",
  arguments = { { "NAME", "the schedule" } },
  examples = { { "schedules resume nightly" } },

  run = function(context)
    local name = context.arguments.name
    schedules.check(context, name)
    context.db:query("select jobq.resume_schedule($1)", name)
    if context.json then
      local tick = schedules.next_ticks(context, 1, name)[1]
      context:print_json(json.object { { "name", name }, { "next_tick", tick and tick.tick } })
    else
      context:print(("schedule %s goes on: %s"):format(text.clean(name),
        schedules.next_in_words(context, name)))
    end
  end,
}
