--- jobq jobs: a list, the newest first.
local jobs = require "_jobs"
local print_table = require("_table").print

local LIMIT = 20
local SINCE = [[
coalesce(j.finished_at, j.started_at, j.created_at) >= now() - make_interval(secs => ?::float8)]]

-- Each condition is there only if it was asked for, so that the planner sees a plain statement.
local function conditions(options)
  local where, values = {}, {}
  local function add(sql, value)
    if value ~= nil then
      table.insert(values, value)
      table.insert(where, (sql:gsub("%?", "$" .. #values)))
    end
  end
  add("j.status = ?::text", options.status)
  add("j.kind like ?::text", options.kind and jobs.like(options.kind))
  add("j.queue = ?::text", options.queue)
  add("j.tags @> ?::text[]", options.tag)
  add(SINCE, options.since)
  add("j.id < ?::bigint", options.next)
  return where, values
end

local function find(context, limit)
  local where, values = conditions(context.options)
  table.insert(values, limit)
  local sql = ("select %s from jobq.job j %s order by j.id desc limit $%d::int"):format(
    jobs.COLUMNS, #where > 0 and "where " .. table.concat(where, " and ") or "", #values)
  return context.db:query(sql, table.unpack(values))
end

local COLUMNS = {
  { "id", "id", right = true },
  { "kind", "kind", flex = true },
  { "status", "status" },
  { "attempt", jobs.attempts, right = true },
  { "queue", "queue", flex = true },
  { "when", jobs.when },
  { "error", jobs.first_line, flex = true, optional = true },
}

local function to_items(rows)
  local items = {}
  for i, job in ipairs(rows) do
    items[i] = jobs.to_json(job)
  end
  return items
end

return {
  summary = "a list of jobs, the newest first",
  role = "jobq_reader",
  options = {
    { "--status S", table.concat(jobs.STATUSES, ", "), type = "choice", choices = jobs.STATUSES },
    { "--kind PATTERN", "e.g. email.send or 'email.*'" },
    { "--queue Q", "of this queue" },
    { "--tag TAG", "with this tag; repeated: with all of them", many = true },
    { "--since T", "whose last step was not longer ago, e.g. 1h", type = "duration" },
    { "--limit N", "at most that many [20]", type = "integer", min = 1, max = 10000 },
    { "--next ID", "older than that job: the next page", type = "id" },
  },
  examples = {
    { "jobs --status failed --since 1h" },
    { "jobs --kind 'email.*' --queue bulk --limit 100" },
    { "jobs --json --status pending", "for programs" },
  },

  run = function(context)
    local limit = context.options.limit or LIMIT
    local rows = find(context, limit + 1)
    local more = rows[limit + 1] ~= nil
    rows[limit + 1] = nil
    local next_page = more and tostring(rows[limit].id) or ""
    if context.json then
      context:print_items(to_items(rows), next_page)
    elseif #rows == 0 then
      context.say "no jobs"
    else
      print_table(COLUMNS, rows)
      if more then
        context.say(("there are more: --next %s"):format(next_page))
      end
    end
  end,
}
