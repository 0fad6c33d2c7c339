--- jobq batches: a list, the newest first.
local batches = require "_batches"
local print_table = require("_table").print
local time = require "_time"

local LIMIT = 20

local SQL = ([[
select %s from jobq.batch_status b
where ($1::text[] is null or b.status = any ($1)) and ($2::bigint is null or b.id < $2)
order by b.id desc limit $3::int]]):format(batches.COLUMNS)

local function when(batch)
  return time.ago(batch.ended_for or batch.created_for)
end

local COLUMNS = {
  { "id", "id", right = true },
  { "name", "name", flex = true },
  { "status", "status", paint = function(batch) return batch.status end },
  { "done", function(batch) return ("%d/%d"):format(batch.done, batch.total) end, right = true },
  { "%", "percent", right = true },
  {
    "failed", function(batch) return batch.failed > 0 and batch.failed or nil end, right = true,
    paint = function() return "failed" end,
  },
  { "in", "parent", right = true },
  { "when", when },
}

local function show(context, rows, next_page)
  if context.json then
    local items = {}
    for i, row in ipairs(rows) do
      items[i] = batches.to_json(row)
    end
    context:print_items(items, next_page)
  elseif #rows == 0 then
    context.say "no batches"
  else
    print_table(COLUMNS, rows)
    if next_page then
      context.say(("there are more: --next %s"):format(next_page))
    end
  end
end

return {
  group = "Jobs",
  summary = "batches of jobs and how far they are, the newest first",
  text = [[
done counts the members that have ended, however. A batch that is open waits to be closed; one that
is closed waits for its last members.
]],
  role = "jobq_reader",
  options = {
    {
      "--status S", table.concat(batches.STATUSES, ", ") .. "; repeated: any of them",
      type = "choice", choices = batches.STATUSES, many = true,
    },
    { "--limit N", "at most that many [20]", type = "integer", min = 1, max = 10000 },
    { "--next ID", "older than that batch: the next page", type = "id" },
  },
  examples = {
    { "batches" },
    { "batches --status open --status closed", "those that have not ended" },
  },

  run = function(context)
    local options = context.options
    local limit = options.limit or LIMIT
    local rows = context.db:query(SQL, options.status, options.next, limit + 1)
    local next_page
    if rows[limit + 1] then
      rows[limit + 1] = nil
      next_page = tostring(rows[limit].id)
    end
    show(context, rows, next_page)
  end,
}
