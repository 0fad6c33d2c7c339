--- jobq limits drop NAME
local failure = require "_failure"
local json = require "_json"
local near = require "_near"
local text = require "_text"

local NAMES = "select l.name from jobq.limit_status l"

local function refuse(context, name)
  local names = {}
  for i, row in ipairs(context.db:query(NAMES)) do
    names[i] = row.name
  end
  failure.raise("not_found", ("limit '%s' does not exist"):format(text.clean(name)),
    near.hint(name, names) or "jobq limits lists them")
end

return {
  group = "Kinds and workers",
  summary = "take a limit away",
  text = "What waits for it goes on.\n",
  role = "jobq_admin",
  arguments = { { "NAME", "the limit" } },
  examples = { { "limits drop smtp" } },

  run = function(context)
    local name = context.arguments.name
    if not context.db:row("select jobq.drop_limit($1) as done", name).done then
      refuse(context, name)
    elseif context.json then
      context:print_json(json.object { { "name", name }, { "done", true } })
    else
      context:print(("limit %s is gone"):format(text.clean(name)))
    end
  end,
}
