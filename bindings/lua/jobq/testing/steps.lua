--- Durable steps and events in a spec: what the functions of the schema would do, in tables. Time
--- passes between runs: a sleep that one has begun is over for the next, and so is a wait that has
--- an end.
---
--- A step is { what, name, key, value }; open is set while it waits.
local core = require "jobq.core"
local effects = require "jobq.testing.effects"

local M = {}

local function find(world, what, name, key)
  for _, step in ipairs(world.steps) do
    if step.what == what and step.name == name and step.key == key then
      return step
    end
  end
  return nil
end

local function add(world, step)
  table.insert(world.steps, step)
  return step
end

local function text_of(step)
  if step.value ~= nil then
    return core.json.encode(step.value)
  end
  return step.what == "step" and "null" or nil
end

--- As a spec hands them on from one run to the next. After a crash no time has passed.
function M.resume(steps, is_after_crash)
  local copies = {}
  for i, step in ipairs(steps or {}) do
    copies[i] = {
      what = step.what, name = step.name, key = step.key or "", value = step.value,
      open = step.open, timeout = step.timeout, ends_at = is_after_crash and step.ends_at or nil,
    }
    if is_after_crash then
      copies[i].is_late = step.is_late
    else
      copies[i].is_late = step.open and step.timeout ~= nil
    end
  end
  return copies
end

---- events ----

--- With a database they are there, without in the spec.
function M.emit(expected, name, payload, id)
  if expected.database then
    return expected.database:value(
      "select jobq.emit_event($1::text, $2::jsonb, $3::text)", name, payload, id)
  end
  for _, event in ipairs(expected.events) do
    if id and event.name == name and event.id == id then
      return false
    end
  end
  table.insert(expected.events, { name = name, payload = payload, id = id })
  return true
end

local TAKE = [[
  update jobq.event set job_id = 0, taken_at = now()
  where id = (select min(id) from jobq.event where name = $1::text and job_id is null)
  returning payload::text as payload]]

--- The JSON of the oldest that nobody has.
local function take(expected, name)
  if expected.database then
    return expected.database:value(TAKE, name)
  end
  for _, event in ipairs(expected.events) do
    if event.name == name and not event.is_taken then
      event.is_taken = true
      return event.payload
    end
  end
  return nil
end

function M.is_there(expected, name)
  if expected.database then
    return expected.database:value(
      "select exists (select from jobq.event where name = $1::text and job_id is null)", name)
  end
  for _, event in ipairs(expected.events) do
    if event.name == name and not event.is_taken then
      return true
    end
  end
  return false
end

---- statements ----

local answers = {}

--- Seconds, of a sleep.
local function left_of(step, world)
  if step.what == "sleep" then
    return step.ends_at and math.max(0, step.ends_at - (world.now or os.time()) - world.slept) or 0
  end
end

function answers.steps(world)
  local rows = {}
  for i, step in ipairs(world.steps) do
    rows[i] = {
      what = step.what, name = step.name, key = step.key, value = text_of(step),
      ended = not step.open, left_s = left_of(step, world),
    }
  end
  return rows
end

function answers.keep_step(world, values)
  add(world, {
    what = "step", name = values[4], key = values[5], value = core.json.decode(values[6]),
  })
  return {}
end

function answers.keep_checkpoint(world, values)
  local step = find(world, "checkpoint", "-", "")
    or add(world, { what = "checkpoint", name = "-", key = "" })
  step.value = core.json.decode(values[4])
  return {}
end

function answers.keep_sleep(world, values)
  if not find(world, "sleep", values[4], "") then
    add(world, { what = "sleep", name = values[4], key = "", ends_at = values[5] })
  end
  return { { left_s = math.max(0, values[5] - (world.now or os.time()) - world.slept) } }
end

function answers.wait_event(world, values)
  local name, key, timeout = values[4], values[5], values[6]
  local step = find(world, "event", name, key)
    or add(world, { what = "event", name = name, key = key, timeout = timeout, open = true })
  local payload = take(world.expected, name)
  if payload then
    step.open, step.value = nil, core.json.decode(payload)
    return { { state = "taken", value = payload } }
  elseif step.is_late or timeout == 0 then
    step.open = nil
    return { { state = "timeout" } }
  end
  world.waits_for = name
  return { { state = "waiting", left_s = timeout } }
end

function answers.emit_event(world, values)
  if world.expected.database then
    return nil
  end
  local added = M.emit(world.expected, values[1], values[2], values[3])
  if added then
    effects.add_event(world, values[1], values[2], values[3])
  end
  return { { added = added } }
end

local names -- from the text of a statement

--- The rows of a statement of steps; nil for others.
function M.answer(world, sql, values)
  if not names then
    names = {}
    for name in pairs(answers) do
      names[core.sql.statement(name)] = name
    end
  end
  local name = names[sql]
  return name and answers[name](world, values)
end

--- The primitives of a run. Leaving is real.
function M.add(fake, world)
  function fake.run.memo()
    core.task.check()
    return world.memo
  end

  function fake.run.place()
    return 0, 1, 1, 1, world.job.id
  end

  function fake.run.park(seconds)
    core.task.check()
    if seconds then
      world.parked = seconds
      return core.task.leave()
    end
  end
end

return M
