--- jobq workers cleanup: what workers do every few seconds, now.
local json = require "_json"
local print_table = require("_table").print

local SQL = [[
select r.worker_id, r.jobs, w.name, w.host, w.pid
from jobq.recover(coalesce(make_interval(secs => $1::float8), '5 minutes')) r
join jobq.worker_status w on w.id = r.worker_id
order by r.jobs desc, w.name]]

local COLUMNS = {
  { "worker", "name", flex = true },
  { "host", "host", flex = true },
  { "pid", "pid", right = true },
  { "jobs put back", "jobs", right = true },
}

local function to_items(rows)
  local items = {}
  for i, row in ipairs(rows) do
    items[i] = json.object {
      { "id", tostring(row.worker_id) }, { "name", row.name }, { "host", row.host },
      { "pid", row.pid }, { "jobs", row.jobs },
    }
  end
  return items
end

return {
  group = "Kinds and workers",
  summary = "declare silent workers dead and put their jobs back",
  text = [[
Living workers do this by themselves: within some 15 seconds after a crash, and 5 minutes after a
worker has fallen silent. This is for a database without any. A worker that lives after all (it
beats every 30 seconds) starts over, and what it was running is run again.
]],
  role = "jobq_admin",
  options = {
    {
      "--silent-for T", "dead is who gave no sign of life for so long [5m]",
      type = "duration", min = 60,
    },
  },
  examples = { { "workers cleanup" }, { "workers cleanup --silent-for 1m" } },

  run = function(context)
    local rows = context.db:query(SQL, context.options.silent_for)
    if context.json then
      context:print_items(to_items(rows))
    elseif #rows == 0 then
      context:print "no worker was silent for so long"
    else
      print_table(COLUMNS, rows)
    end
  end,
}
