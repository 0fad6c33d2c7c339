--- Watches one run of a spec: where it waits, what it does to others, and where it is to be killed.
---
--- A run is killed before or after a wait as by SIGKILL: no line of the handler runs afterwards, no
--- __close, and what was not committed is gone.
local core = require "jobq.core"
local effects = require "jobq.testing.effects"

local M = {}

--- What a handler calls, by the primitive that waits.
local NAMES = {
  http = { perform = "jobq.http" }, process = { start = "jobq.process.run" },
  smtp = { deliver = "jobq.smtp.send" }, sql = { finish = "commit", query = "jobq.sql" },
  task = { sleep = "jobq.sleep" }, crypto = { hash_file = "jobq.crypto.hash_file" },
}

local STATEMENTS = {
  close_batch = "batch:close", emit_event = "jobq.emit", enqueue = "jobq.enqueue",
  enqueue_many = "jobq.enqueue_many", keep_checkpoint = "job:checkpoint",
  keep_sleep = "jobq.sleep_until", keep_step = "jobq.step", open_batch = "jobq.batch",
  result = "jobq.await", steps = "jobq.step", wait_event = "jobq.wait_event",
}

--- fs and compress: all that they have.
for _, group in ipairs { "compress", "fs" } do
  NAMES[group] = {}
  for name in pairs(core[group]) do
    NAMES[group][name] = ("jobq.%s.%s"):format(group, name)
  end
end

local by_text -- of statements

local function name_of_statement(sql)
  if not by_text then
    by_text = {}
    for name, text in pairs(STATEMENTS) do
      by_text[core.sql.statement(name)] = text
    end
  end
  return by_text[sql] or ("jobq.sql '%s'"):format(sql:gsub("%s+", " "):sub(1, 40))
end

local function is_kept(world, n, when)
  return world.cut and world.cut.wait == n and world.cut.when == when
end

--- Ends the run here.
local function kill(world)
  world.is_killed = true
  return core.task.cut()
end

local function note(world, name)
  local place = core.task.place():gsub(": $", "")
  if place:find "jobq/testing.lua" then -- run is no more on the stack: a tail call
    place = world.place
  end
  table.insert(world.waits, { place = place, name = name })
  return #world.waits
end

local function watch(world, group, name, f)
  local label = NAMES[group][name]
  return function(...)
    if not pcall(core.task.check) then
      return f(...) -- no place to wait: loading, or a coroutine
    end
    local n = note(world, label == "jobq.sql" and name_of_statement(select(3, ...)) or label)
    if is_kept(world, n, "before") then
      return kill(world)
    end
    local results = table.pack(f(...))
    effects.note(world, group, results, ...)
    if is_kept(world, n, "after") then
      return kill(world)
    end
    return table.unpack(results, 1, results.n)
  end
end

--- fake: the primitives of one run.
function M.add(fake, world)
  world.waits, world.effects = {}, {}
  fake.http.perform = world.tape:around(fake.http.perform, world)
  fake.smtp.deliver = world.tape:around_mail(fake.smtp.deliver, world)
  for group, names in pairs(NAMES) do
    for name in pairs(names) do
      fake[group][name] = watch(world, group, name, fake[group][name])
    end
  end
end

return M
