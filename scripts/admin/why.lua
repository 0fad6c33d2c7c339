--- jobq why ID: what keeps a job.
local failure = require "_failure"
local jobs = require "_jobs"
local json = require "_json"
local text = require "_text"

local SQL = "select w.code, w.words, w.hint from jobq.why($1::bigint) w"

return {
  group = "Jobs",
  summary = "what keeps a job from running, in words",
  role = "jobq_reader",
  arguments = { { "ID", "the job", type = "id" } },
  examples = { { "why 42" }, { "why 42 --json", "codes for programs" } },

  run = function(context)
    local id = context.arguments.id
    local rows = context.db:query(SQL, id)
    if #rows == 0 then
      failure.raise("not_found", ("job %d does not exist"):format(id), jobs.KEPT)
    elseif context.json then
      local items = {}
      for i, row in ipairs(rows) do
        items[i] = json.pick(row, { "code", "words", "hint" })
      end
      context:print_items(items)
      return
    end
    for _, row in ipairs(rows) do
      context:print(text.clean(row.words))
      if row.hint then
        context:print("  " .. text.clean(row.hint))
      end
    end
  end,
}
