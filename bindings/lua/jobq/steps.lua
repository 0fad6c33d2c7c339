--- Durable steps: what one run of a job has done, a later one does not do again. It asks for the
--- result by name, in the queue's database, and a result is there before the next step starts.
---
--- A run that waits long is ended by core.run.park: its job runs again from the top, behind its
--- steps.
local core = require "jobq.core"
local database = require "jobq.database"
local nearest = require "jobq.nearest"
local transaction = require "jobq.transaction"
local verdict = require "jobq.verdict"

local M = {}

local LARGEST = 1 << 20 -- bytes of JSON
local LONGEST_NAME = 200
local SHORT = 10 -- seconds that a sleep takes in place, without giving up the run
local LONGEST = 315360000 -- ten years in seconds
local CHECKPOINT = "checkpoint\0-\0"
local ELSEWHERE = { ["3F000"] = true, ["42883"] = true } -- no such schema, no such function

-- Codes that say nothing of the statement: the database is away, or this connection to it.
local AWAY = {
  connect = true, connection_lost = true, ["57P01"] = true, ["57P02"] = true, ["57P03"] = true,
}
local FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 2
local IS_THERE = "23505"

local TWICE = "%s: '%s' was there in this run already, at %s\n"
  .. "hint: give each a name of its own, in a loop a key, too"
local INSIDE = "%s: not inside of step '%s'\nhint: end that step first"

--- What this run knows: known, from id to { value, ended, left_s }; places, from id to where it was
--- asked for; inside, from coroutine to the step that it is in.
local function memo()
  local m = core.run.memo()
  if not m.places then
    m.places, m.inside = {}, {}
  end
  return m
end

--- Errors are for the handler, however deep in here.
local function refuse(text, ...)
  error(core.task.place() .. text:format(...), 0)
end

local function fail(where, message, code)
  refuse("%s: %s%s", where, message, code and (" (%s)"):format(code) or "")
end

--- While the database is away it is asked again, as the worker does with the ends of runs: until it
--- is back, or the run's time is over. A record whose answer got lost is there the second time.
local function ask_until_told(statement, values, count)
  local sql, pause, was_away = core.sql.statement(statement), FIRST_PAUSE_S, false
  while true do
    local rows, message, code = database.run_alone("queue", sql, values, count)
    if was_away and code == IS_THERE then
      return {}
    elseif rows or not AWAY[code] then
      return rows, message, code
    end
    was_away = true
    core.task.sleep(pause)
    pause = math.min(pause * 2, LAST_PAUSE_S)
  end
end

--- On the queue's database, or the run has failed: to go on without a record would do things twice.
local function ask(where, statement, values, count)
  local rows, message, code = ask_until_told(statement, values, count)
  if not rows then
    fail(where, message, code)
  end
  return rows
end

--- The first time it is asked for, in one statement. A run by hand has nothing behind it.
local function known_of(m, where)
  if not m.known then
    local _, worker, _, _, job = core.run.place()
    local known = {}
    for _, row in ipairs(worker and ask(where, "steps", { job }, 1) or {}) do
      known[("%s\0%s\0%s"):format(row.what, row.name, row.key)] = row
    end
    m.known = m.known or known -- parts of jobq.parallel may both have asked
  end
  return m.known
end

---- what handlers give ----

local function check_name(where, name)
  if type(name) ~= "string" or name == "" or #name > LONGEST_NAME then
    refuse("%s: %s is not a name of 1 to %d characters",
      where, database.show(name), LONGEST_NAME)
  end
end

local function check_key(where, key)
  local kind = math.type(key) == "integer" and "string" or type(key)
  if key ~= nil and (kind ~= "string" or #tostring(key) > LONGEST_NAME) then
    refuse("%s: the key %s is not a string of at most %d characters, or an integer",
      where, database.show(key), LONGEST_NAME)
  end
  return key == nil and "" or tostring(key)
end

--- Marks that this run has come to it; the second time is a mistake.
local function claim(m, where, what, name, key)
  local id = ("%s\0%s\0%s"):format(what, name, key)
  local step = m.inside[coroutine.running()]
  if step then
    refuse(INSIDE, where, step)
  elseif m.places[id] then
    refuse(TWICE, where, key == "" and name or name .. "', '" .. key, m.places[id])
  end
  m.places[id] = (core.task.place():gsub(": $", ""))
  return id
end

local function encode(where, value)
  if verdict.is(value) then
    fail(where, "a verdict is no result: return it from run")
  end
  local ok, text = pcall(core.json.encode, value == nil and core.json.null or value)
  if not ok then
    fail(where, "its result: " .. text)
  elseif #text > LARGEST then
    fail(where, ("its result takes %d bytes of JSON, the limit is %d\n"
      .. "hint: store what is large elsewhere, and keep where to find it"):format(#text, LARGEST))
  end
  return text
end

--- What the step gave, the same in every run.
local function decode(text)
  local value = core.json.decode(text)
  if value ~= core.json.null then
    return value
  end
end

---- steps ----

--- For a <close> variable: what ends without a result may be tried again in the same run.
local function enter(m, id, name)
  local co = coroutine.running()
  m.inside[co] = name
  return setmetatable({}, { __close = function()
    m.inside[co] = nil
    m.places[id] = m.known[id] and m.places[id] or nil
  end })
end

--- The values of keep_step, and how many; nothing in a run by hand.
local function values_of(name, key, text, began)
  local now, worker, seq, slot = core.run.place()
  if worker then
    return { worker, seq, slot, name, key, text, now - began }, 7
  end
end

--- Arguments of step and step_tx: name, [key,] f.
local function read(where, name, key, f)
  if f == nil then
    key, f = nil, key
  end
  check_name(where, name)
  local text = check_key(where, key)
  if type(f) ~= "function" then
    refuse("%s: expected a function, got %s",
      where, database.show(f))
  end
  return text, f
end

function M.step(name, key, f)
  key, f = read("jobq.step", name, key, f)
  local m = memo()
  local id = claim(m, "jobq.step", "step", name, key)
  local where = ("step '%s'"):format(name)
  local known = known_of(m, where)
  if not known[id] then
    local _ <close> = enter(m, id, name)
    local began = core.run.place()
    local value, message, code = f()
    if not value and message ~= nil then
      return value, message, code
    end
    local text = encode(where, value)
    local values, count = values_of(name, key, text, began)
    if values then
      ask(where, "keep_step", values, count)
    end
    known[id] = { value = text }
  end
  return decode(known[id].value)
end

--- The effect of f and the record of it in one COMMIT.
function M.step_tx(name, key, f)
  key, f = read("jobq.step_tx", name, key, f)
  local m = memo()
  local id = claim(m, "jobq.step_tx", "step", name, key)
  local where = ("step '%s'"):format(name)
  local known = known_of(m, where)
  if known[id] then
    return decode(known[id].value)
  end
  local _ <close> = enter(m, id, name)
  local began, text = core.run.place(), nil
  local value, message, code, detail, hint = transaction.run("default", "begin", f, function(given)
    text = encode(where, given[1])
    local values, count = values_of(name, key, text, began)
    if values then
      return core.sql.statement "keep_step", values, count
    end
  end)
  if not value and message ~= nil then
    if ELSEWHERE[code] then
      message = message .. "\nhint: step_tx needs the database of the jobs; elsewhere use jobq.step"
    end
    return nil, message, code, detail, hint
  end
  known[id] = { value = text }
  return decode(text)
end

---- checkpoints ----

function M.checkpoint(value)
  local where = "checkpoint"
  local m = memo()
  local text = encode(where, value)
  local _, worker, seq, slot = core.run.place()
  if worker then
    ask(where, "keep_checkpoint", { worker, seq, slot, text }, 4)
  end
  known_of(m, where)[CHECKPOINT] = { value = text }
end

function M.last_checkpoint()
  local last = known_of(memo(), "checkpoint")[CHECKPOINT]
  return last and decode(last.value)
end

---- what a run waits for ----

local OPTIONS = { key = true, timeout = true }

local function check_options(options)
  if type(options) ~= "table" then
    refuse("jobq.wait_event: expected a table of options, got %s",
      database.show(options))
  end
  for name in pairs(options) do
    if not OPTIONS[name] then
      refuse("jobq.wait_event: unknown option '%s'%s",
        tostring(name), nearest.hint(name, OPTIONS))
    end
  end
  local timeout = options.timeout
  if timeout ~= nil and not (type(timeout) == "number" and timeout >= 0 and timeout <= LONGEST) then
    refuse("jobq.wait_event: timeout: '%s' is not a number of seconds, at most ten years",
      tostring(timeout))
  end
end

--- Asks for it, and ends the run if it has not come. Gives the payload, nil for none in time.
local function take_event(where, name, key, timeout)
  core.run.park() -- raises where a run cannot end
  local _, worker, seq, slot = core.run.place()
  if not worker then
    core.run.park(timeout or LONGEST)
  end
  local row = ask(where, "wait_event", { worker, seq, slot, name, key, timeout }, 6)[1]
  if row.state == "waiting" then
    core.run.park(math.min(row.left_s or LONGEST, LONGEST))
  end
  return row.value
end

function M.wait_event(name, options)
  options = options == nil and {} or options
  check_name("jobq.wait_event", name)
  check_options(options)
  local key = check_key("jobq.wait_event", options.key)
  local m = memo()
  local where = ("event '%s'"):format(name)
  local id = claim(m, "jobq.wait_event", "event", name, key)
  local known = known_of(m, where)
  if not (known[id] and known[id].ended) then
    known[id] = { ended = true, value = take_event(where, name, key, options.timeout) }
  end
  if known[id].value == nil then
    return nil, "timeout"
  end
  return (core.json.decode(known[id].value))
end

local function check_time(time)
  if type(time) ~= "number" or not (time > -math.huge and time <= os.time() + LONGEST) then
    refuse("jobq.sleep_until: '%s' is not a time in Unix seconds, at most ten years ahead",
      tostring(time))
  end
end

--- Seconds that are left of a sleep; known, if an earlier run has begun it.
local function left_of(known, where, name, time)
  local _, worker, seq, slot = core.run.place()
  if known and known.left_s <= 0 then
    return 0
  elseif not worker then
    return time - os.time()
  end
  return ask(where, "keep_sleep", { worker, seq, slot, name, time }, 5)[1].left_s
end

--- Until when is what the first run has said. time: Unix seconds.
function M.sleep_until(name, time)
  check_name("jobq.sleep_until", name)
  check_time(time)
  local m = memo()
  local where = ("sleep '%s'"):format(name)
  local id = claim(m, "jobq.sleep_until", "sleep", name, "")
  local left = left_of(known_of(m, where)[id], where, name, time)
  if left > SHORT then
    core.run.park(left)
  elseif left > 0 then
    core.task.sleep(left)
  end
end

return M
