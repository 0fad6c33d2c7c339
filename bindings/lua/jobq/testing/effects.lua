--- What a run does to others, and whether a job that was killed and ran again has done the same.
---
--- An effect is { class, what, mark, hint }: what happened, and the mark by which the other side
--- knows a copy. Effects of one mark are one.
local core = require "jobq.core"
local routes = require "jobq.testing.routes"

local M = {}

local HINTS = {
  job = "unique_key makes a second one the first; or tx:enqueue in a jobq.step_tx",
  event = "give it an id, the same in all attempts; or tx:emit in a jobq.step_tx",
  mail = "message_id = jobq.smtp.message_id(job) is the same in all attempts",
  request = "idempotency_key = true is the same in all attempts; if the other side drops copies "
    .. "by itself, t.http.on(method, url, reply, { again = true })",
  program = "if it may run again, t.process.on(program, result, { again = true })",
  row = "tx:complete, or jobq.step_tx, makes a change and the record of it one commit",
  file = "write it as a whole, by a name that is the same in all attempts",
}

local SAFE = { GET = true, HEAD = true, OPTIONS = true }
local REPEATABLE = { PUT = true, DELETE = true } -- RFC 9110, 9.2.2


--- Keys in order, so that the same is the same.
local function show(value)
  if type(value) ~= "table" then
    local ok, text = pcall(core.json.encode, value)
    return ok and text or tostring(value)
  end
  local names, parts = {}, {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, name in ipairs(names) do
    parts[i] = math.type(name) and show(value[name]) or ("%s: %s"):format(name, show(value[name]))
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

M.show = show

local function add(world, effect)
  effect.hint = effect.hint or HINTS[effect.of]
  table.insert(world.effects, effect)
end

---- of calls ----

local notes = {}

function notes.smtp(world, results, delivery)
  local message = table.concat(delivery.message)
  local subject = message:match "\r\nSubject: ([^\r]*)" or ""
  local class = "mail to " .. table.concat(delivery.to, ", ")
  if results[1] then
    add(world, { of = "mail", class = class, what = ("%s '%s'"):format(class, subject),
      mark = message:match "\r\nMessage%-ID: ([^\r]*)" })
  end
end

local function header(exchange, name)
  for _, line in ipairs(exchange.headers) do
    local given, value = line:match "^([^:]+):%s*(.*)$"
    if given and given:lower() == name then
      return value
    end
  end
end

local function mark_of(exchange, route)
  return route and route.again and exchange.url
    or header(exchange, "idempotency-key") or header(exchange, "webhook-id")
    or REPEATABLE[exchange.method] and (exchange.body or exchange.from_file or "")
    or nil
end

function notes.http(world, results, exchange)
  local is_taken = math.type(results[1]) == "integer" and results[1] < 400
  if is_taken and not SAFE[exchange.method] then
    local class = exchange.method .. " " .. exchange.url
    local route = routes.of_request(world.expected, exchange.method, exchange.url)
    add(world, { of = "request", class = class, what = class, mark = mark_of(exchange, route) })
  end
end

function notes.process(world, results)
  local started = world.programs[#world.programs]
  if results[1] and started then
    local route = routes.of_program(world.expected, started.argv[1])
    local what = "program " .. table.concat(started.argv, " ")
    add(world, { of = "program", class = "program " .. started.argv[1], what = what,
      mark = route and route.again and what })
  end
end

--- name: the group of primitives. results: what the call gave.
function M.note(world, name, results, ...)
  if notes[name] then
    notes[name](world, results, ...)
  end
end

---- of the queue ----

--- enqueued: the jobs that are committed. With a database its rows tell.
function M.add_jobs(world)
  for _, job in ipairs(world.enqueued) do
    local class = "job " .. job.kind
    local mark = job.unique_key
      or job.unique_fields and show { job.unique_fields, job.args }
    add(world, { of = "job", class = class, what = ("%s %s"):format(class, show(job.args)),
      mark = mark })
  end
end

function M.add_event(world, name, payload, id)
  if world.effects then
    add(world, { of = "event", class = "event " .. name,
      what = ("event %s %s"):format(name, payload), mark = id })
  end
end

---- compared ----

--- How often each thing was done. volatile: the classes of which only the number counts.
function M.count(effects, volatile)
  local counted = {}
  for _, effect in ipairs(effects) do
    local name = volatile[effect.class] and effect.class or effect.what
    local c = counted[name] or { times = 0, marks = {}, hint = effect.hint }
    counted[name] = c
    if not (effect.mark and c.marks[effect.mark]) then
      c.times = c.times + (effect.times or 1)
    end
    c.marks[effect.mark or 0] = true
  end
  return counted
end

--- The classes that are not the same in two runs that nobody has killed.
function M.volatile(one, other)
  local a, b, classes = M.count(one, {}), M.count(other, {}), {}
  for _, list in ipairs { one, other } do
    for _, effect in ipairs(list) do
      local x, y = a[effect.what], b[effect.what]
      classes[effect.class] = classes[effect.class] or not (x and y) or x.times ~= y.times
    end
  end
  return classes
end

local function times(counted, name)
  return counted[name] and counted[name].times or 0
end

local NUMBERS = { [0] = "not at all", "once", "twice" }

local function say(n)
  return NUMBERS[n] or n .. " times"
end

--- What was done more or less often than it should be: { text, hint }, in order.
function M.differences(wanted, done)
  local list, names = {}, {}
  for name in pairs(wanted) do
    names[name] = true
  end
  for name in pairs(done) do
    names[name] = true
  end
  for name in pairs(names) do
    local n, m = times(wanted, name), times(done, name)
    if n ~= m then
      local text = ("%s: %s instead of %s"):format(name, say(m), say(n))
      list[#list + 1] = { text = text, hint = m > n and done[name].hint or nil }
    end
  end
  table.sort(list, function(a, b) return a.text < b.text end)
  return list
end

---- of what there is afterwards ----

function M.file(path, sum)
  local class = "file " .. path
  return { class = class, what = ("%s (%s)"):format(class, sum), hint = HINTS.file }
end

function M.row(name, text, n)
  local class = "row in " .. name
  local hint = name == "jobq.job" and HINTS.job or name == "jobq.event" and HINTS.event or HINTS.row
  return { class = class, what = ("%s %s"):format(class, text), hint = hint, times = n }
end

return M
