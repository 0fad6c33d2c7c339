--- jobq workers: who runs jobs.
local jobs = require "_jobs"
local json = require "_json"
local print_table = require("_table").print
local time = require "_time"

local SQL = ([[
select w.*, array_to_string(w.queues, ' ') as queue_list,
  %s as started, %s as seen, %s as seen_for, %s as started_for
from jobq.worker_status w
where $1::boolean or w.state = 'running'
order by w.state = 'running' desc, w.started_at desc limit 1000]]):format(
  jobs.iso "w.started_at", jobs.iso "w.seen_at", jobs.age "w.seen_at", jobs.age "w.started_at")

local function megabytes(worker)
  return ("%d MB"):format((worker.rss_kb + 512) // 1024)
end

-- The hint below it is for reload --wait and --json.
local function first_line(worker)
  return worker.load_error and worker.load_error:match "^[^\n]*"
end

local COLUMNS = {
  { "worker", "name", flex = true },
  { "state", "state" },
  { "seen", function(w) return time.ago(w.seen_for) end },
  { "up", function(w) return time.span(w.started_for) end, right = true },
  { "running", function(w) return ("%d / %d"):format(w.running, w.concurrency) end, right = true },
  { "processed", "processed", right = true },
  { "failed", "failed", right = true },
  { "memory", megabytes, right = true },
  { "queues", "queue_list", flex = true, optional = true },
  { "version", "version" },
  { "does not load", first_line, flex = true, optional = true },
}

local function to_items(rows)
  local items = {}
  for i, w in ipairs(rows) do
    items[i] = json.object {
      { "id", tostring(w.id) }, { "name", w.name }, { "host", w.host }, { "pid", w.pid },
      { "state", w.state }, { "started_at", w.started }, { "seen_at", w.seen },
      { "silent_seconds", w.seen_for }, { "running", w.running },
      { "concurrency", w.concurrency }, { "processed", w.processed },
      { "succeeded", w.succeeded }, { "failed", w.failed }, { "rss_kb", w.rss_kb },
      { "queues", w.queues }, { "version", w.version }, { "generation", w.generation },
      { "load_error", w.load_error },
    }
  end
  return items
end

return {
  group = "Kinds and workers",
  summary = "who runs jobs, and how they are",
  role = "jobq_reader",
  options = { { "--all", "also those that have stopped or died" } },
  examples = { { "workers" }, { "workers --all --json" } },

  run = function(context)
    local rows = context.db:query(SQL, context.options.all or false)
    if context.json then
      context:print_items(to_items(rows))
    elseif #rows == 0 then
      context.say "no workers; start one: jobq-run handlers/"
    else
      print_table(COLUMNS, rows)
    end
  end,
}
