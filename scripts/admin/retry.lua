--- jobq retry ID...
local actions = require "_actions"

local SQL = [[
select r.done,
  case when r.done then 'pending' else (select j.status::text from jobq.find($1::bigint) j) end
    as status
from jobq.retry($1::bigint, make_interval(secs => $2::float8)) r (done)]]

return {
  summary = "run failed or cancelled jobs again",
  role = "jobq_admin",
  arguments = { { "ID...", "the jobs", type = "id" } },
  options = { { "--delay T", "wait that long first, e.g. 10m", type = "duration" } },
  examples = { { "retry 42" }, { "retry 42 43 --delay 10m" } },

  run = function(context)
    local delay = context.options.delay or 0
    return actions.each(context, SQL, function(id, row)
      if row.done then
        return ("job %d is pending again"):format(id)
      end
      return nil, ("job %d is %s, expected failed or cancelled"):format(id, row.status)
    end, delay)
  end,
}
