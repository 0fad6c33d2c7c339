--- jobq jobs: a list, the newest first.
local failure = require "_failure"
local filters = require "_filter"
local jobs = require "_jobs"
local print_table = require("_table").print
local time = require "_time"
local watch = require "_watch"

local LIMIT = 20

local ORDERS = {
  id = "j.id", created = "j.created_at", run = "j.run_at", kind = "j.kind, j.id desc",
  queue = "j.queue, j.id desc", priority = "j.priority, j.run_at, j.id",
  took = "j.finished_at - j.started_at",
  step = filters.STEP,
}
local ORDER_NAMES = {
  "id", "created", "run", "step", "kind", "queue", "priority", "took",
  "-id", "-created", "-run", "-step", "-took",
}

local function order_of(sort)
  local name, down = sort:match "^%-?(.*)$", sort:sub(1, 1) == "-"
  return ("%s %s"):format(ORDERS[name], down and "desc nulls last" or "asc")
end

local function find(context, limit)
  local options = context.options
  local filter = filters.new(options)
  filter:add("j.id < ?", options.next, "bigint")
  return filter:query(context.db, ("select %s from jobq.job j %s order by %s limit %s"):format(
    jobs.COLUMNS, filter:where(), order_of(options.sort or "-id"), filter:bind(limit, "int")))
end

local function span(field)
  return function(job)
    return job[field] and time.span(job[field])
  end
end

local COLUMNS = {
  { "id", "id", right = true },
  { "kind", "kind", flex = true },
  { "status", "status", paint = function(job) return job.status end },
  { "attempt", jobs.attempts, right = true },
  { "queue", "queue", flex = true },
  { "when", jobs.when },
  { "error", jobs.first_line, flex = true, optional = true },
  { "progress", jobs.progress, flex = true, optional = true },
  { "priority", "priority", right = true },
  { "worker", "worker_id", right = true },
  { "tags", function(job) return table.concat(job.tags, " ") end, flex = true },
  { "args", "args", flex = true },
  { "result", "result", flex = true },
  { "took", span "took", right = true },
  { "created", "created_at" },
  { "run", "run_at" },
  { "started", "started_at" },
  { "finished", "finished_at" },
}
local USUAL = 8

local column_names, columns_by_name = {}, {}
for i, column in ipairs(COLUMNS) do
  column_names[i] = column[1]
  columns_by_name[column[1]] = column
end

local function columns_for(names)
  if not names then
    return table.move(COLUMNS, 1, USUAL, 1, {})
  end
  local list = {}
  for i, name in ipairs(names) do
    list[i] = setmetatable({ optional = false }, { __index = columns_by_name[name] })
  end
  return list
end

local function to_items(rows)
  local items = {}
  for i, job in ipairs(rows) do
    items[i] = jobs.to_json(job)
  end
  return items
end

local function show(context, rows, next_page)
  if context.json then
    context:print_items(to_items(rows), next_page)
  elseif #rows == 0 then
    context.say "no jobs"
  else
    print_table(columns_for(context.options.columns), rows)
    if next_page and not context.options.watch then
      context.say(next_page == "" and "there are more: --limit N"
        or ("there are more: --next %s"):format(next_page))
    end
  end
end

return {
  group = "Jobs",
  summary = "a list of jobs, the newest first",
  text = [[
Options that choose jobs are the same for jobs, logs, retry and cancel; see jobq help filters.
]],
  role = "jobq_reader",
  options = filters.options {
    { "--limit N", "at most that many [20]", type = "integer", min = 1, max = 10000 },
    { "--next ID", "older than that job: the next page", type = "id" },
    {
      "--sort FIELD", "id, created, run, step, kind, queue, priority or took; -took: down [-id]",
      type = "choice", choices = ORDER_NAMES,
    },
    {
      "--columns A,B", table.concat(column_names, ", "), type = "list", choices = column_names,
    },
    watch.option,
  },
  examples = {
    { "jobs --status failed --since 1h" },
    { "jobs --kind 'email.*' --arg customer.id=42", "by an argument" },
    { "jobs --sort -took --columns id,kind,took", "the slowest" },
    { "jobs --status processing --watch", "again and again" },
    { "jobs --json --status pending", "for programs" },
  },

  run = function(context)
    local options = context.options
    local limit = options.limit or LIMIT
    if options.next and options.sort and options.sort ~= "-id" then
      failure.raise("usage", "--next goes by id, it excludes --sort")
    end
    return watch.run(context, function()
      local rows = find(context, limit + 1)
      local next_page
      if rows[limit + 1] then
        rows[limit + 1] = nil
        next_page = (options.sort or "-id") == "-id" and tostring(rows[limit].id) or ""
      end
      return function()
        show(context, rows, next_page)
      end
    end)
  end,
}
