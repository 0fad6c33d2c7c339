--- jobq cancel ID...
local actions = require "_actions"

return {
  summary = "end jobs that wait, and ask running ones to stop",
  role = "jobq_admin",
  arguments = { { "ID...", "the jobs", type = "id" } },
  examples = { { "cancel 42" }, { "cancel 42 43 44" } },

  run = function(context)
    return actions.each(context, "select jobq.cancel($1::bigint)::text as status", function(id, row)
      if row.status == "cancelled" then
        return ("job %d cancelled"):format(id)
      elseif row.status == "processing" then
        return ("job %d is processing and was asked to stop"):format(id)
      end
      return nil, ("job %d is %s, it is too late to cancel it"):format(id, row.status)
    end)
  end,
}
