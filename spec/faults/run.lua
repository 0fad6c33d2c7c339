--- One run, complete by itself: a server, workers, producers, faults; quiet; then the audit.
--
--     local result = run { seed = 7, seconds = 60, plan = plan.random(7, 60), ... }
--     result.violations, result.counts, result.recovery, result.jobs, ...
local uv = require "luv"
local auditor = require "faults.auditor"
local faults = require "faults.faults"
local files = require "support.files"
local plan = require "faults.plan"
local records = require "faults.records"
local recovery = require "faults.recovery"
local stage_of = require "faults.stage"

local DEFAULTS = {
  workers = 3, producers = 2, concurrency = 8, executors = 2, dead_after = 4, heartbeat = 500,
  poll = "1h", mix = "mixed", rate = 15, quiet = 150, settings = {},
}

local function with_defaults(options)
  for name, value in pairs(DEFAULTS) do
    if options[name] == nil then
      options[name] = value
    end
  end
  return options
end

local function start_all(stage, options)
  for name, value in pairs(options.settings) do
    stage.db:query(("alter system set %s = '%s'"):format(name, value))
  end
  stage.db:query "select pg_reload_conf()"
  if options.mix == "mixed" then
    stage.db:query(files.read "spec/faults/flow.sql")
  end
  for i, slot in ipairs(stage.slots) do
    slot.clock = options.clocks ~= false and i == 2 and "+0" or nil
    stage:start(slot)
  end
  for _, slot in ipairs(stage.slots) do
    stage:wait_until_ready(slot.life)
  end
  stage:start_producers()
end

local function schedule(stage, list, say)
  local began = stage_of.now()
  for _, entry in ipairs(list) do
    stage:go(function()
      stage:sleep(entry.at - (stage_of.now() - began))
      say(("%6.1f s  %s"):format(stage_of.now() - began, entry.name))
      stage.counts[entry.name] = (stage.counts[entry.name] or 0) + 1
      faults[entry.name].run(stage, plan.chance(entry.seed))
    end)
  end
end

local LEFT = [[
select (select count(*) from jobq.ready) as ready, (select count(*) from jobq.lease) as leases,
  (select count(*) from jobq.worker where state = 'running') as running]]

-- All jobs are done, and all that do not live are known to be dead.
local function is_drained(stage)
  local rows = stage:sql(LEFT)
  local left = rows and rows[1]
  stage.left = left or stage.left
  return left and left.ready == 0 and left.leases == 0 and left.running == #stage:up()
end

local function settle_down(stage, options)
  stage:order("clear", "*")
  stage:stop_producers()
  stage:note("quiet", "*")
  stage:sql "select jobq.unschedule('chaos')"
  for _, slot in ipairs(stage.slots) do
    if slot.life.process.status then
      stage:start(slot)
      stage:wait_until_ready(slot.life)
    end
  end
  local next_look = 0
  local began = stage_of.now()
  stage.drained = pcall(stage.wait, stage, "an empty queue", function()
    if stage_of.now() < next_look then
      return false
    end
    next_look = stage_of.now() + 0.25
    return is_drained(stage)
  end, options.quiet)
  stage.counts.quiet_s = math.floor(stage_of.now() - began)
end

-- TERM, and all must end by themselves with status 0.
local function stop_workers(stage)
  stage.exits = {}
  for _, slot in ipairs(stage.slots) do
    uv.kill(slot.life.pid, "sigterm")
  end
  for _, slot in ipairs(stage.slots) do
    pcall(stage.wait, stage, "the end of " .. slot.life.name, function()
      return slot.life.process.status
    end, 40)
    stage.exits[slot.life.name] = slot.life.process.status or "never"
  end
  -- A wish that crossed the end of its job is left to the hourly cleanup, once it is an hour old.
  stage:sql "update jobq.cancel_request set requested_at = requested_at - interval '2 hours'"
  stage:sql "select jobq.cleanup()"
end

local function play(stage, options)
  local say = options.say
  start_all(stage, options)
  stage.counts = {}
  schedule(stage, options.plan, say)
  stage:play(options.seconds)
  say "no more faults"
  stage:finish_tasks()
  settle_down(stage, options)
  say(stage.drained and "drained" or "NOT drained")
  stop_workers(stage)
  local all = records.read(stage)
  local result = {
    counts = stage.counts, jobs = #all.jobs, acknowledged = #all.acks, runs = #all.runs,
    recovery = recovery.measure(all), diary = stage.diary, dir = stage.dir,
    boundaries = records.boundaries(stage.proxy.process.out_lines),
  }
  result.violations = auditor.audit(all)
  result.notes = auditor.notes(all)
  return result
end

return function(options)
  with_defaults(options)
  local stage = stage_of.open(options)
  stage.now = stage_of.now
  local ok, result = xpcall(play, debug.traceback, stage, options)
  local failed = not ok or #result.violations + #result.notes > 0
  local keep = options.keep == true or options.keep == "failed" and failed
  stage:close(keep)
  if not ok then
    error(result .. (keep and "\nkept in " .. stage.dir or ""), 0)
  end
  result.kept = keep and stage.dir or nil
  return result
end
