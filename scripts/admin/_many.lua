--- Changing all jobs that a filter chooses: a preview, a question, then some at a time.
--
-- Chunks go by id, each a transaction of its own. What took its last step after the preview is left
-- alone, so a job that fails again at once is not retried twice, and an interrupted command goes on
-- where it was when it is given again.
local confirm = require "_confirm"
local failure = require "_failure"
local filters = require "_filter"
local host = require "jobq.host"
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local text = require "_text"
local time = require "_time"

local M = {}

M.CHUNK = 1000

--- For the options of such a command.
M.AFTER = { "--after ID", "only jobs after that one, where an interrupt was", type = "id" }

local PREVIEW = [[
select j.kind, j.status, count(*) as jobs, %s as oldest, %s as newest,
  %s as oldest_for, %s as newest_for
from jobq.job j %s
group by j.kind, j.status order by jobs desc, j.kind, j.status]]

-- Errors that differ in their numbers only are one.
local BY_ERROR = [[
select j.kind, j.status, j.error, count(*) as jobs, sum(count(*)) over ()::bigint as total,
  %s as oldest, %s as newest, %s as oldest_for, %s as newest_for
from (
  select j.*, regexp_replace(left(split_part(j.error, E'\n', 1), 200), '\d+', 'N', 'g') as line
  from jobq.job j %s) t
cross join lateral (select t.kind, t.status, t.line as error, t.finished_at, t.started_at,
  t.created_at) j
group by j.kind, j.status, j.error order by jobs desc, j.kind, j.status, j.error limit 100]]

local function preview(context, filter, by_error)
  local first, last = ("min(%s)"):format(filters.STEP), ("max(%s)"):format(filters.STEP)
  return filter:query(context.db, (by_error and BY_ERROR or PREVIEW):format(jobs.iso(first),
    jobs.iso(last), jobs.age(first), jobs.age(last), filter:where()))
end

local COLUMNS = {
  { "kind", "kind", flex = true },
  { "status", "status", paint = function(row) return row.status end },
  { "jobs", "jobs", right = true },
  { "oldest", function(row) return time.ago(row.oldest_for) end, right = true },
  { "newest", function(row) return time.ago(row.newest_for) end, right = true },
}

local ERROR = { "error", "error", flex = true, optional = true }

local function total_of(rows)
  local total = 0
  if rows[1] and rows[1].total then
    return rows[1].total
  end
  for _, row in ipairs(rows) do
    total = total + row.jobs
  end
  return total
end

local function to_items(rows, by_error)
  local items = {}
  for i, row in ipairs(rows) do
    items[i] = json.pick(row,
      { "kind", "status", "jobs", "oldest", "newest", by_error and "error" or nil })
  end
  return items
end

local function report(context, counts, verb)
  if context.json then
    context:print_json(json.object {
      { "matched", counts.total }, { "changed", counts.changed }, { "skipped", counts.skipped },
      counts.after and { "after", tostring(counts.after) },
    })
    return
  end
  context:print(("%s %s, %d skipped"):format(
    text.count(counts.changed, "job"), verb.done, counts.skipped))
end

local CHUNK = [[
with chosen as materialized (select j.id from jobq.job j %s order by j.id limit %d)
select (select count(*) from chosen) as seen, (select max(c.id) from chosen c) as last_id,
  (select count(*) from %s) as changed]]

local IDS = "array(select c.id from chosen c order by c.id)"

-- Answers whether it came to the end.
local function work(context, verb, counts, choose)
  local after, n, row = 0, 0
  host.catch_interrupt()
  repeat
    local filter = choose()
    filter:add("j.id > ?", after, "bigint")
    local call = verb.call(function(value, type_name) return filter:bind(value, type_name) end,
      IDS, n, counts.total)
    row = filter:query(context.db, CHUNK:format(filter:where(), M.CHUNK, call))[1]
    counts.after, after, n = row.last_id or after, row.last_id, n + row.seen
    counts.changed = counts.changed + row.changed
    counts.skipped = n - counts.changed
    if after and n < counts.total and host.is_tty(2) then
      context.say(("%d of %d"):format(n, counts.total))
    end
    if not after or row.seen < M.CHUNK then
      counts.after = nil
      return true
    end
  until host.interrupted()
  return false
end

local function check_statuses(options, verb)
  for _, status in ipairs(options.status or {}) do
    if not verb.statuses[status] then
      failure.raise("usage", ("--status: %s jobs cannot be %s"):format(status, verb.participle),
        "expected " .. verb.expected)
    end
  end
end

-- Makes the filter anew for each statement: what takes its last step from now on is not meant.
local function chooser(context, options, verb)
  local chosen = setmetatable({ status = options.status or verb.default }, { __index = options })
  local moment = context.db:row("select clock_timestamp()::text as now").now
  return function()
    local filter = filters.new(chosen)
    filter:add(filters.STEP .. " <= ?", moment, "timestamptz")
    filter:add("j.id > ?", options.after, "bigint")
    return filter
  end
end

local function show(context, rows, by_error)
  if not context.json then
    local columns = table.move(COLUMNS, 1, #COLUMNS, 1, {})
    columns[#columns + 1] = by_error and ERROR or nil
    print_table(columns, rows)
    io.stdout:flush()
  elseif context.options.dry_run then
    context:print_items(to_items(rows, by_error))
  end
end

local function change(context, verb, counts, choose)
  local done = counts.total == 0 or work(context, verb, counts, choose)
  if counts.total > 0 or context.json then
    report(context, counts, verb)
  end
  if not done then
    context.say(("interrupted after %d of %d; the same command goes on with --after %d"):format(
      counts.changed + counts.skipped, counts.total, counts.after))
    return failure.INTERRUPTED
  end
end

--- What the command line means: by_id or by_filter, whichever is called for; raises for a mixture.
--- for_many: names of options that go with a filter only. example: a hint for who named no jobs.
function M.dispatch(context, by_id, by_filter, for_many, example)
  local options = context.options
  local has_filter = not filters.is_empty(options)
  if not context.arguments.id[1] then
    if not has_filter then
      failure.raise("usage", "ID is missing: the jobs, or options that choose them", example)
    end
    return by_filter(context)
  elseif has_filter then
    failure.raise("usage", "give ids or options that choose jobs, not both")
  end
  for _, name in ipairs(for_many) do
    if options[(name:gsub("%-", "_"))] then
      failure.raise("usage", ("--%s is for jobs that options choose"):format(name))
    end
  end
  return by_id(context)
end

--- options: of the filter. verb: name "retry", gerund "retrying", participle "retried", done
--- "pending again", more (what the question says besides), statuses that it may be applied to,
--- expected (the same in words), default (those without --status), by_error (the preview tells
--- errors apart), and call(bind, ids, n, total):
--- SQL that does it and answers a row for each changed job.
function M.run(context, options, verb)
  check_statuses(options, verb)
  local choose = chooser(context, options, verb)
  local rows = preview(context, choose(), verb.by_error)
  local counts = { total = total_of(rows), changed = 0, skipped = 0 }
  local jobs_of = text.count(counts.total, "job")
  local doing = ("%s %s%s"):format(verb.name, jobs_of, verb.more or "")
  if counts.total == 0 then
    context.say "no such jobs"
  end
  if counts.total > 1 or options.dry_run then
    show(context, rows, verb.by_error)
  end
  if options.dry_run then
    return not context.json and context.say("this would " .. doing) or nil
  elseif counts.total > 1 then
    confirm.check(context, counts.total, doing, verb.gerund .. " " .. jobs_of)
  end
  return change(context, verb, counts, choose)
end

return M
