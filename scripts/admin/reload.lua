--- jobq reload: workers read their handlers again.
local failure = require "_failure"
local json = require "_json"
local poll = require "_poll"
local text = require "_text"
local time = require "_time"
local workers = require "_workers"

local WAIT_S = 60

local TELL = [[
select jobq.reload($1::bigint) as n, clock_timestamp()::text as at]]

local LOADED = [[
select w.id, w.name, w.load_error, w.loaded_at >= $2::timestamptz as loaded
from jobq.worker_status w
where w.state = 'running' and w.id = any ($1::bigint[]) order by w.name, w.id]]

-- Everybody has tried: the rows, or nil.
local function all_loaded(rows)
  for _, row in ipairs(rows) do
    if not row.loaded then
      return nil
    end
  end
  return rows
end

local function report(context, rows)
  local items, broken = {}, 0
  for i, row in ipairs(rows) do
    broken = broken + (row.load_error and 1 or 0)
    items[i] = json.object {
      { "id", tostring(row.id) }, { "name", row.name }, { "load_error", row.load_error },
    }
    if not context.json then
      local why = text.lines(row.load_error or "")
      context:print(("%s  %s"):format(text.clean(row.name), row.load_error
        and "keeps its old handlers: " .. table.concat(why, "\n  ") or "reloaded"))
    end
  end
  if context.json then
    context:print_items(items)
  end
  if broken > 0 then
    failure.raise("not_found", ("the handlers of %s do not load"):format(
      text.count(broken, "worker")), "jobq check HANDLERS shows it without a worker")
  end
end

local function wait(context, ids, at)
  local seconds = context.options.wait == true and WAIT_S or context.options.wait
  local rows = poll.wait(seconds, function()
    return all_loaded(context.db:query(LOADED, ids, at))
  end)
  if not rows then
    failure.raise("failed", ("after %s not all have loaded"):format(time.span(seconds)),
      "jobq workers shows who is alive")
  end
  report(context, rows)
end

return {
  group = "Kinds and workers",
  summary = "have workers load their handlers again",
  text = [[
New jobs go to the new code once all of it has loaded; what runs ends on the old. A worker whose
handlers do not load keeps the old code and says so in jobq workers; with --wait the exit status is
3 then.
]],
  role = "jobq_admin",
  options = {
    { "--worker W", "only this one, its name or id" },
    { "--wait[=T]", "until all have loaded or failed to, at most T [1m]", type = "duration" },
  },
  examples = { { "reload" }, { "reload --wait", "in a deployment" } },

  run = function(context)
    local name = context.options.worker
    local rows = name and { workers.find(context, name) } or workers.alive(context)
    local ids = {}
    for i, row in ipairs(rows) do
      ids[i] = row.id
    end
    local told = context.db:row(TELL, name and ids[1])
    if context.options.wait then
      return wait(context, ids, told.at)
    elseif context.json then
      context:print_json(json.object { { "workers", told.n } })
    else
      context:print(("%s told; jobq workers shows what does not load"):format(
        told.n == 1 and "1 worker was" or ("%d workers were"):format(told.n)))
    end
  end,
}
