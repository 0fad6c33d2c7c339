--- jobq schedules remove NAME
local json = require "_json"
local schedules = require "_schedules"
local text = require "_text"

return {
  group = "Schedules",
  summary = "end a schedule; its jobs stay",
  text = [[
One that a handler file has is taken out there; until then it can be paused.
]],
  role = "jobq_admin",
  arguments = { { "NAME", "the schedule" } },
  examples = { { "schedules remove nightly" } },

  run = function(context)
    local name = context.arguments.name
    schedules.check(context, name)
    context.db:query("select jobq.unschedule($1)", name)
    if context.json then
      context:print_json(json.object { { "name", name } })
    else
      context:print(("schedule %s is gone"):format(text.clean(name)))
    end
  end,
}
