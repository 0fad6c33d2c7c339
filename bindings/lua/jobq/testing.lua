--- jobq.testing: handlers in a spec, without a worker, a network and a clock.
---
---   local t = require "jobq.testing"
---   local run = t.handlers "handlers"
---   t.smtp.replies { 550, "no such user" }
---   assert.equal("discard", run("email.send", { to = "ann@example.org", ... }).verdict)
local asserts = require "jobq.testing.asserts"
local core = require "jobq.core"
local crash = require "jobq.testing.crash"
local databases = require "jobq.testing.database"
local fakes = require "jobq.testing.fakes"
local folders = require "jobq.testing.folder"
local nearest = require "jobq.nearest"
local states = require "jobq.testing.state"
local steps = require "jobq.testing.steps"
local strict = require "jobq.strict"

if not core.task.run then
  error("jobq.testing is for specs, handlers have no use for it", 0)
end

local M = {}

local LONGEST_RUN = 60 -- seconds, of real time
local MOST_RUNS = 200 -- of t.drain(): beyond, jobs make jobs without end

local FAILED, DISCARDED, SNOOZED = 1, 2, 3 -- as in jobq.runner
local WORDS = { [FAILED] = "failed", [DISCARDED] = "discard", [SNOOZED] = "snooze" }

local OPTIONS = {
  attempt = true, batch = true, created_at = true, id = true, idempotency_key = true,
  max_attempts = true, priority = true, queue = true, run_at = true, steps = true, tags = true,
}

--- What the spec that runs has arranged.
local expected

local function forget()
  if expected and expected.database then
    databases.drop(expected.database)
  end
  if expected and expected.folder then
    folders.remove(expected.folder)
  end
  expected = {
    config = {}, ends = {}, enqueued = {}, events = {}, http = {}, last_id = 0, process = {},
    smtp = {},
    is_crashed = os.getenv "JOBQ_CRASH_EVERYWHERE" == "1",
  }
end

forget()

---- what a spec arranges ----

local function check_again(where, options)
  for name in pairs(options or {}) do
    if name ~= "again" then
      error(("%s: unknown option '%s', expected again"):format(where, tostring(name)), 3)
    end
  end
end

--- The answers to the next mails, in order: one { 250, "ok" }, or several of them. A text instead
--- of the number is the code of a failure: { "connect", "cannot reach the smtp server" }.
local function add_replies(replies)
  if type(replies[1]) ~= "table" then
    replies = { replies }
  end
  table.move(replies, 1, #replies, #expected.smtp + 1, expected.smtp)
end

--- What answers requests: a status, a table { status =, headers =, body = or json = }, { code,
--- message } of a failure, or a function of the request that gives one. A url may end in "*".
local function add_route(method, url, reply, options)
  check_again("t.http.on", options)
  table.insert(expected.http, {
    method = method:upper(), url = url, reply = reply, again = options and options.again,
  })
end

--- What a program does: a table { status =, signal =, stdout =, stderr = }, { code, message } if it
--- cannot be started, or a function of the words that gives one of these.
local function add_program(program, result, options)
  check_again("t.process.on", options)
  table.insert(expected.process,
    { program = program, result = result, again = options and options.again })
end

local STATUS = {
  pending = true, processing = true, completed = true, failed = true, cancelled = true,
}
local END = { status = true, result = true, error = true }

local function check_end(ending)
  if type(ending) ~= "table" then
    error("t.ends: expected a table { status = }, or false for no such job", 3)
  end
  for name in pairs(ending) do
    if not END[name] then
      error(("t.ends: unknown option '%s'%s"):format(tostring(name), nearest.hint(name, END)), 3)
    end
  end
  if not STATUS[ending.status] then
    error(("t.ends: '%s' is no status%s"):format(
      tostring(ending.status), nearest.hint(ending.status, STATUS)), 3)
  end
end

--- How a job ends that a run waits for with jobq.await, by its kind or id; false: there is none.
local function add_end(which, ending)
  if type(which) ~= "string" and math.type(which) ~= "integer" then
    error("t.ends: expected a kind, or the id of a job", 2)
  elseif ending ~= false then
    check_end(ending)
  end
  expected.ends[which] = ending
end

--- Settings, for this spec.
local function add_config(settings)
  for name, value in pairs(settings) do
    expected.config[name] = tostring(value)
  end
end

--- A database of this spec alone, migrated; from here on jobq.sql is real and reaches it. It goes
--- with the spec, and all that was done in it.
local function open_database()
  expected.database = expected.database or databases.open()
  return expected.database
end

--- A folder of this spec alone; it goes with the spec.
local function open_folder()
  expected.folder = expected.folder or folders.new()
  return expected.folder
end

---- a run ----

--- watch: tape, cut and is_after_crash, of a run that is watched.
local function new_world(watch)
  watch = watch or {}
  return {
    tape = watch.tape, cut = watch.cut, now = watch.tape and expected.now,
    enqueued = {}, expected = expected, job = {}, logs = {}, mails = {}, programs = {},
    requests = {}, slept = 0, memo = {},
  }
end

--- The jobs that wait in this spec.
local function pending()
  return expected.database and databases.pending(expected.database) or expected.enqueued
end

local function settings_text()
  local lines = {}
  for name, value in pairs(expected.config) do
    lines[#lines + 1] = name .. "=" .. value .. "\n"
  end
  return table.concat(lines)
end

--- The kinds of a folder in a state of their own.
local function load_kinds(folder, world)
  local state = states.new(fakes.new(world), world)
  local ok, kinds, message = states.within(state, function()
    local database = expected.database
    require("jobq.settings").load(settings_text(), database and database.dsn or "none")
    return require("jobq.loader").load(folder .. "\n")
  end)
  if not ok or not kinds then
    error(ok and message or kinds, 0) -- begins with file and line
  end
  local by_name = {}
  for _, kind in ipairs(kinds) do
    by_name[kind.name] = kind
  end
  return by_name, state
end

local function check_options(options)
  for name in pairs(options) do
    if not OPTIONS[name] then
      error(("run: unknown option '%s'%s"):format(tostring(name), nearest.hint(name, OPTIONS)), 3)
    end
  end
end

--- Arguments arrive as they do in an executor: as JSON.
local function describe_job(job, handler, args, options, now)
  job.id, job.attempt, job.kind = 1, 1, handler.name
  job.max_attempts, job.priority, job.queue = handler.max_attempts, handler.priority, handler.queue
  job.created_at, job.run_at, job.tags = now, now, {}
  for name, value in pairs(options) do
    job[name] = value
  end
  job.steps = nil
  job.idempotency_key = job.idempotency_key or "jobq-" .. job.id
  job.args_text = next(args) and core.json.encode(args) or "{}"
end

--- Keeps what run returns; values that a worker would only warn of are mistakes here.
local function watch(handler, world)
  local run = handler.run
  local info = debug.getinfo(run, "S")
  world.place = ("%s:%d"):format(info.short_src, info.linedefined)
  handler.run = function(job)
    local value, message, code = run(job)
    local is_failure = not value and message ~= nil
    if is_failure then
      world.code = code
    elseif value ~= nil and value ~= true and not world.is_verdict(value) then
      world.problem = ("%s: run returned %s, expected nothing, true, a verdict or nil, message")
        :format(handler.name, value == false and "false" or "a " .. type(value))
    end
    world.value = value
    return value, message, code
  end
end

local function split(text)
  local message, traceback = (text or ""):match("^(.-)\n(stack traceback:.*)$")
  return text and (message or text), traceback
end

local function word_of(world, verdict)
  if world.completed then
    return "done"
  elseif world.parked then
    return "park"
  elseif verdict == FAILED and world.is_verdict(world.value) then
    return "retry"
  end
  return WORDS[verdict] or "done"
end

local function conclude(world, verdict, text, delay)
  local message, traceback = split(text)
  return {
    verdict = word_of(world, verdict),
    error = message, traceback = traceback, code = text and world.code or nil,
    delay = world.parked or delay, steps = world.steps, waits_for = world.waits_for,
    result = world.result, logs = world.logs, slept = world.slept, progress = world.progress,
    mails = world.mails, requests = world.requests, programs = world.programs,
    enqueued = world.enqueued, max_attempts = world.job.max_attempts,
  }
end

--- What a run has enqueued: it has committed that, or there is a database to ask.
local function keep_enqueued(world, before)
  if expected.database then
    for _, job in ipairs(databases.pending(expected.database)) do
      if not before[job.id] then
        table.insert(world.enqueued, job)
      end
    end
  else
    table.move(world.enqueued, 1, #world.enqueued, #expected.enqueued + 1, expected.enqueued)
  end
end

local function ids(jobs)
  local set = {}
  for _, job in ipairs(jobs) do
    set[job.id] = true
  end
  return set
end

--- One run in a fresh state. Gives its report, and its world.
local function run(folder, kind, args, options, watch_of)
  check_options(options)
  local world = new_world(watch_of)
  local kinds, state = load_kinds(folder, world)
  local handler = kinds[kind]
  if not handler then
    error(("there is no kind '%s' in '%s'%s"):format(kind, folder, nearest.hint(kind, kinds)), 3)
  end
  describe_job(world.job, handler, args, options, world.now or os.time())
  world.steps = steps.resume(options.steps, watch_of and watch_of.is_after_crash)
  local before = ids(pending())
  local ok, verdict, text, delay = states.within(state, function()
    world.is_verdict = require("jobq.verdict").is
    watch(handler, world)
    return core.task.run(function()
      return require("jobq.runner").main(handler)
    end, LONGEST_RUN)
  end)
  if world.problem or not ok then
    error(world.problem or verdict, 3)
  end
  keep_enqueued(world, before)
  return conclude(world, verdict, text, delay), world
end

--- The same, killed at each wait, too.
local function run_and_crash(folder, kind, args, options)
  expected.now = os.time()
  return crash.run({
    kind = kind,
    run = function(now_options, watch_of)
      return run(folder, kind, args, now_options, watch_of)
    end,
    expected = function() return expected end,
    arrange = function(other) expected = other end,
  }, options)
end

---- the queue ----

local function take()
  local job = pending()[1]
  if job and expected.database then
    databases.remove(expected.database, job.id)
  else
    table.remove(expected.enqueued, 1)
  end
  return job
end

local AT_ONCE = { park = true, snooze = true } -- time passes

--- Whether there is another run of it now.
local function is_back(report, attempt)
  local has_failed = report.verdict == "failed" or report.verdict == "retry"
  return AT_ONCE[report.verdict] and not report.waits_for
    or has_failed and attempt < report.max_attempts, has_failed
end

--- All attempts of a job, and its runs after a snooze or a sleep. What waits for an event is put
--- aside, behind all others.
local function work(run_kind, job, reports, aside)
  local attempt, report = job.attempt or 1, { steps = job.steps }
  repeat
    report = run_kind(job.kind, job.args, {
      id = job.id, attempt = attempt, queue = job.queue, tags = job.tags, steps = report.steps,
    })
    report.kind, report.attempt = job.kind, attempt
    reports[#reports + 1] = report
    if #reports > MOST_RUNS then
      error(("t.drain: %d runs, and there is still something to do"):format(MOST_RUNS), 3)
    end
    local goes_on, has_failed = is_back(report, attempt)
    attempt = has_failed and attempt + 1 or attempt
    job.attempt, job.steps, job.waits_for = attempt, report.steps, report.waits_for
  until not goes_on
  if job.waits_for then
    table.insert(aside, job)
  end
end

--- One of those that wait for an event, if that has come, or the wait has an end.
local function take_waiting(aside)
  for i, job in ipairs(aside) do
    if job.steps[#job.steps].timeout or steps.is_there(expected, job.waits_for) then
      return table.remove(aside, i)
    end
  end
  return nil
end

--- Works until nothing waits: what specs and handlers have enqueued, and again what failed. Gives
--- the reports of the runs.
function M.drain(run_kind)
  local reports, aside = {}, {}
  local job = take()
  while job do
    work(run_kind, job, reports, aside)
    job = take() or take_waiting(aside)
  end
  return reports
end

--- Loads a folder of handlers, or one file. Gives a function that runs one job of a kind and tells
--- how it went; see bindings/meta/testing.lua.
function M.handlers(folder)
  load_kinds(folder, new_world())
  return function(kind, args, options)
    local how = expected.is_crashed and run_and_crash or run
    local report, problem = how(folder, kind, args or {}, options or {})
    if type(problem) == "string" then
      error(problem, 2)
    end
    return report
  end
end

--- An event: with or without somebody who waits for it. False if there was one with that id.
function M.emit(name, payload, options)
  local text = core.json.encode(payload == nil and core.json.null or payload)
  return steps.emit(expected, name, text, options and options.id)
end

--- From here on each run of this spec is killed at each of its waits, too; or not, with false.
function M.crash_everywhere(is_wanted)
  expected.is_crashed = is_wanted ~= false
end

M.config = add_config
M.database = open_database
M.ends = add_end
M.enqueued = pending
M.folder = open_folder
M.http = strict.close("t.http", { on = add_route })
M.process = strict.close("t.process", { on = add_program })
M.smtp = strict.close("t.smtp", { replies = add_replies })

asserts.register(pending)

local has_busted, busted = pcall(require, "busted")
if has_busted and busted.subscribe then
  busted.subscribe({ "test", "end" }, function()
    forget()
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    forget()
    databases.stop()
    return nil, true
  end)
end

return strict.close("jobq.testing", M)
