--- jobq schedules run NAME
local json = require "_json"
local schedules = require "_schedules"

return {
  group = "Schedules",
  summary = "make the job of a schedule now",
  text = [[
Whatever it says of overlap, and also while it is paused. Prints the job's id.
]],
  role = "jobq_admin",
  arguments = { { "NAME", "the schedule" } },
  examples = { { "schedules run nightly" } },

  run = function(context)
    local name = context.arguments.name
    schedules.check(context, name)
    local id = tostring(context.db:row("select jobq.run_now($1) as id", name).id)
    if context.json then
      context:print_json(json.object { { "id", id } })
    else
      context:print(id)
    end
  end,
}
