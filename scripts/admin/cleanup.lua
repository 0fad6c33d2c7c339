--- jobq cleanup: what workers do hourly, now.
local json = require "_json"

return {
  summary = "drop finished jobs and logs that are past their time",
  text = [[
Workers do this every hour. Completed jobs and logs are kept for 7 days, failed and cancelled jobs
with their error trails for 90.
]],
  role = "jobq_admin",
  options = {
    { "--keep T", "completed jobs younger than that stay [7d]", type = "duration" },
  },
  examples = { { "cleanup" }, { "cleanup --keep 2d" } },

  run = function(context)
    local keep = context.options.keep
    local sql = keep and "select jobq.cleanup(keep => make_interval(secs => $1::float8)) as n"
      or "select jobq.cleanup() as n, $1::float8"
    local dropped = context.db:row(sql, keep).n
    if context.json then
      context:print_json(json.object { { "days_dropped", dropped } })
    else
      context:print(("%d days of finished jobs, error trails and logs dropped"):format(dropped))
    end
  end,
}
