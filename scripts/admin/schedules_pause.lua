--- jobq schedules pause NAME
local json = require "_json"
local schedules = require "_schedules"
local text = require "_text"

return {
  group = "Schedules",
  summary = "make no more jobs until it is resumed",
  text = [[
Also when its handler file is loaded anew. Jobs that are there go on.
]],
  role = "jobq_admin",
  arguments = { { "NAME", "the schedule" } },
  options = { { "--reason TEXT", "for the others" } },
  examples = { { 'schedules pause nightly --reason "the report is wrong"' } },

  run = function(context)
    local name = context.arguments.name
    local author = os.getenv "USER" or os.getenv "LOGNAME"
    schedules.check(context, name)
    context.db:query("select jobq.pause_schedule($1, $2, $3)", name, context.options.reason, author)
    if context.json then
      context:print_json(json.object { { "name", name } })
    else
      context:print(("schedule %s is paused; jobq schedules resume %s undoes it"):format(
        text.clean(name), text.clean(name)))
    end
  end,
}
