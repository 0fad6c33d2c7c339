--- jobq logs ID | FILTER: what jobs wrote to their logs.
local failure = require "_failure"
local filters = require "_filter"
local host = require "jobq.host"
local jobs = require "_jobs"
local json = require "_json"
local color = require "_color"
local text = require "_text"

local TAIL = 100
local MOST = 100000
local PAUSE_S = 0.5

-- A line is stored some time after its own time: so far back a later look finds more.
local LATE_S = 60

local LEVELS = { "debug", "info", "warn", "error" }
local PAINT = { debug = "dim", warn = "warn", error = "bad" }

local SQL = [[
select l.job_id, l.attempt, l.level, l.message, l.fields::text, l.at as key, %s as at,
  to_char(l.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') as clock %s
from jobq.log l %s %s order by l.at desc, l.job_id desc, l.attempt desc limit %s]]

local function levels_from(least)
  for i, level in ipairs(LEVELS) do
    if level == least then
      return table.move(LEVELS, i, #LEVELS, 1, {})
    end
  end
end

-- By id the log alone is asked; of other jobs the filter's view says which they are.
local function find(context, limit, seconds)
  local options, id = context.options, context.arguments.id
  local filter = filters.without_times(options)
  local joined = not id and not filters.is_empty(options)
  filter:add("l.job_id = ?", id, "bigint")
  filter:add("l.level = any (?)", options.level and levels_from(options.level), "text[]")
  filter:add("l.at >= now() - make_interval(secs => ?)", seconds, "float8")
  filters.add_times(filter, options, "l.at")
  local rows = filter:query(context.db, SQL:format(jobs.iso "l.at",
    joined and ", j.kind" or "", joined and "join jobq.job j on j.id = l.job_id" or "",
    filter:where(), filter:bind(limit, "int")))
  for i = 1, #rows // 2 do
    rows[i], rows[#rows - i + 1] = rows[#rows - i + 1], rows[i]
  end
  return rows
end

local function print_line(context, line)
  if context.json then
    line.job_id, line.fields = tostring(line.job_id), json.raw(line.fields)
    context:print_json(json.pick(line,
      { "at", "job_id", "kind", "attempt", "level", "message", "fields" }))
    return
  end
  local kind = line.kind and " " .. text.clean(line.kind) or ""
  local whose = context.arguments.id and "" or ("%d%s  "):format(line.job_id, kind)
  context:print(("%s %s  %s%s%s"):format(line.clock,
    color.paint(PAINT[line.level], ("%-5s"):format(line.level)), whose, text.clean(line.message),
    line.fields and "  " .. text.clean(line.fields) or ""))
end

-- Lines that are equal in all of this are told apart by how many there are.
local function key_of(line)
  return table.concat({
    line.key, line.job_id, line.attempt, line.level, line.message, line.fields or "",
  }, "\0")
end

local function count(lines, counts)
  for _, line in ipairs(lines) do
    local key = key_of(line)
    counts[key] = (counts[key] or 0) + 1
  end
  return counts
end

-- Prints those lines that are more than there were; answers how many there are now.
local function print_new(context, lines, before)
  local now = {}
  for _, line in ipairs(lines) do
    local key = key_of(line)
    now[key] = (now[key] or 0) + 1
    if now[key] > (before[key] or 0) then
      print_line(context, line)
    end
  end
  io.stdout:flush()
  return now
end

local function has_ended(context, id)
  return id and not context.db:row(
    "select from jobq.find($1::bigint) j where j.status in ('pending', 'processing')", id)
end

local function follow(context, shown)
  local id = context.arguments.id
  repeat
    host.sleep(PAUSE_S)
    local ended = has_ended(context, id) -- asked before the last look, so that nothing is missed
    shown = print_new(context, find(context, MOST, LATE_S), shown)
  until ended
end

return {
  group = "Jobs",
  summary = "what jobs wrote to their logs, the last lines of one or many",
  text = [[
Of one job, or of all that the options choose. --since and --until are about the lines, not the
jobs. With -f it waits for more: of one job until that has ended, else until Ctrl-C. With --json
each line is an object of its own.
]],
  role = "jobq_reader",
  arguments = { { "[ID]", "the job", type = "id" } },
  options = filters.options {
    { "--level L", "that level and worse: debug, info, warn, error", type = "choice",
      choices = LEVELS },
    { "--tail N", "at most so many lines [100]", type = "integer", min = 0, max = MOST },
    { "--follow", "wait for more", short = "f" },
  },
  examples = {
    { "logs 42" },
    { "logs -f --kind 'file.*'" },
    { "logs --level warn --since 1h", "what jobs complained about" },
  },

  run = function(context)
    local id = context.arguments.id
    if id and not filters.is_empty(context.options) then
      failure.raise("usage", "give an id or options that choose jobs, not both")
    elseif id and not context.db:row("select from jobq.find($1::bigint)", id) then
      failure.raise("not_found", ("job %d does not exist"):format(id), jobs.KEPT)
    end
    -- Late lines come first: what is stored between the two looks is among the last lines.
    local late = context.options.follow and count(find(context, MOST, LATE_S), {})
    local lines = find(context, context.options.tail or TAIL)
    local shown = count(lines, {})
    print_new(context, lines, {})
    if context.options.follow then
      return follow(context, setmetatable(shown, { __index = late }))
    elseif #lines == 0 and not context.json then
      context.say "no lines"
    end
  end,
}
