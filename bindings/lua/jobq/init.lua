--- What handlers get from require "jobq".
local await = require "jobq.await"
local core = require "jobq.core"
local batch = require "jobq.batch"
local enqueue = require "jobq.enqueue"
local event = require "jobq.event"
local limit = require "jobq.limit"
local must = require "jobq.must"
local settings = require "jobq.settings"
local steps = require "jobq.steps"
local strict = require "jobq.strict"
local verdict = require "jobq.verdict"

local function module(name, fields)
  local closed = strict.close("jobq." .. name, fields)
  package.loaded["jobq." .. name] = closed -- so that error messages find the names of functions
  return closed
end

if settings.text("sql.rollback", "false") == "true" then
  require("jobq.rollback").install()
end

return strict.close("jobq", {
  await = await.await,
  batch = batch.batch,
  compress = module("compress", core.compress),
  config = settings.config,
  crypto = require "jobq.crypto",
  discard = verdict.discard,
  done = verdict.done,
  emit = event.emit,
  enqueue = enqueue.enqueue,
  enqueue_many = enqueue.enqueue_many,
  fs = require "jobq.fs",
  http = require "jobq.http",
  json = require "jobq.json",
  limit = limit.limit,
  must = must.must,
  parallel = require "jobq.parallel",
  process = require "jobq.process",
  retry = verdict.retry,
  sleep = core.task.sleep,
  sleep_until = steps.sleep_until,
  smtp = require "jobq.smtp",
  snooze = verdict.snooze,
  socket = require "jobq.socket",
  sql = require "jobq.sql",
  step = steps.step,
  step_tx = steps.step_tx,
  wait_event = steps.wait_event,
})
