--- jobq emit NAME [JSON|-]
local arguments = require "_args"
local json = require "_json"
local text = require "_text"

local SQL = "select jobq.emit_event($1::text, $2::jsonb, $3::text) as added"

return {
  group = "Jobs",
  summary = "add an event, which one job that waits for it gets",
  text = [[
A job that calls jobq.wait_event with that name gets it: one that waits now, or the first that comes
to wait.
]],
  role = "jobq_producer",
  arguments = {
    { "NAME", "what has happened, e.g. payment.42" },
    { "[JSON]", "what the job is told of it; - reads it from stdin; null by default" },
  },
  options = {
    { "--id ID", "adds none if there is one of that name and id already" },
  },
  examples = {
    { [[emit payment.42 '{"cents": 995}']] },
    { "emit import.done --id 2030-12-24", "once, however often it is said" },
  },

  run = function(context)
    local name = context.arguments.name
    local payload = arguments.read(context.arguments.json or "null")
    local added = context.db:row(SQL, name, payload, context.options.id).added
    if context.json then
      context:print_json(json.object { { "name", name }, { "added", added } })
    elseif added then
      context:print(("emitted %s"):format(text.clean(name)))
    else
      context:print(("%s was emitted with id %s already"):format(
        text.clean(name), text.clean(context.options.id)))
    end
  end,
}
