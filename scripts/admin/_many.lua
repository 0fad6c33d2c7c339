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

local PREVIEW = [[
select j.kind, j.status, count(*) as jobs, %s as oldest, %s as newest,
  %s as oldest_for, %s as newest_for
from jobq.job j %s
group by j.kind, j.status order by jobs desc, j.kind, j.status]]

local function preview(context, filter)
  local first, last = ("min(%s)"):format(filters.STEP), ("max(%s)"):format(filters.STEP)
  return filter:query(context.db, PREVIEW:format(jobs.iso(first), jobs.iso(last),
    jobs.age(first), jobs.age(last), filter:where()))
end

local COLUMNS = {
  { "kind", "kind", flex = true },
  { "status", "status", paint = function(row) return row.status end },
  { "jobs", "jobs", right = true },
  { "oldest", function(row) return time.ago(row.oldest_for) end, right = true },
  { "newest", function(row) return time.ago(row.newest_for) end, right = true },
}

local function total_of(rows)
  local total = 0
  for _, row in ipairs(rows) do
    total = total + row.jobs
  end
  return total
end

local function to_items(rows)
  local items = {}
  for i, row in ipairs(rows) do
    items[i] = json.pick(row, { "kind", "status", "jobs", "oldest", "newest" })
  end
  return items
end

local function report(context, counts, verb)
  if context.json then
    context:print_json(json.object {
      { "matched", counts.total }, { "changed", counts.changed }, { "skipped", counts.skipped },
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
    after, n = row.last_id, n + row.seen
    counts.changed = counts.changed + row.changed
    counts.skipped = n - counts.changed
    if after and n < counts.total and host.is_tty(2) then
      context.say(("%d of %d"):format(n, counts.total))
    end
  until not after or row.seen < M.CHUNK or host.interrupted()
  return not host.interrupted()
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
    return filter
  end
end

local function show(context, rows)
  if not context.json then
    print_table(COLUMNS, rows)
    io.stdout:flush()
  elseif context.options.dry_run then
    context:print_items(to_items(rows))
  end
end

local function change(context, verb, counts, choose)
  local done = counts.total == 0 or work(context, verb, counts, choose)
  if counts.total > 0 or context.json then
    report(context, counts, verb)
  end
  if not done then
    context.say "interrupted; the same command goes on"
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
--- expected (the same in words), default (those without --status), and call(bind, ids, n, total):
--- SQL that does it and answers a row for each changed job.
function M.run(context, options, verb)
  check_statuses(options, verb)
  local choose = chooser(context, options, verb)
  local rows = preview(context, choose())
  local counts = { total = total_of(rows), changed = 0, skipped = 0 }
  local jobs_of = text.count(counts.total, "job")
  local doing = ("%s %s%s"):format(verb.name, jobs_of, verb.more or "")
  if counts.total == 0 then
    context.say "no such jobs"
  end
  if counts.total > 1 or options.dry_run then
    show(context, rows)
  end
  if options.dry_run then
    return not context.json and context.say("this would " .. doing) or nil
  elseif counts.total > 1 then
    confirm.check(context, counts.total, doing, verb.gerund .. " " .. jobs_of)
  end
  return change(context, verb, counts, choose)
end

return M
