--- Notifications: one to a user (push), one to many (batch), what has happened meanwhile (digest).
---
--- What a service has taken is a step of the job: later attempts do not send it again. One case
--- nobody can tell: the worker goes after the service has taken it and before that is written down.
--- Then it is sent again with the same id, by which browsers, phones and receivers of webhooks show
--- it once.
local ask = require "lib.notification.ask"
local deliver = require "lib.notification.deliver"
local digests = require "lib.notification.digest"
local failure = require "lib.notification.failure"
local fan_out = require "lib.notification.fan_out"
local jobq = require "jobq"
local notes = require "lib.notification.note"
local people = require "lib.notification.people"

local TIMEOUT = 120 -- seconds; a service has 10 of them

--- Services are away for minutes, seldom for hours: 30, 60, 120 seconds ..., at most one hour,
--- about three hours in all. Retry-After comes before that.
local ATTEMPTS = 10
local function delay(attempt)
  return math.min(15 * 2 ^ attempt, 3600)
end

--- To all subscriptions that want it. finish: what is to be done before the job has ended.
local function send(job, note, finish)
  local targets, why, code = people.targets(note)
  if not targets then
    return failure.verdict(why, code)
  end
  local tally = deliver.all(job, note, targets)
  local later = tally.later
  if later then
    return failure.verdict(later.why, later.code, later.pause)
  elseif tally.sent == 0 and tally.refused[1] then
    return jobq.discard(tally.refused[1])
  end
  return finish(tally)
end

--- In quiet hours the job comes again when they have ended.
local function unless_quiet(user, urgent, tell)
  local quiet, why, code = people.quiet_seconds(user)
  if not quiet then
    return failure.verdict(why, code)
  elseif quiet > 0 and not urgent then
    return jobq.snooze(quiet)
  end
  return tell()
end

--- What reached nobody is for the next digest.
local function mark(items, tally)
  tally.items = tally.sent > 0 and #items.ids or 0
  if tally.items > 0 then
    local marked, why, code = digests.mark(items)
    if not marked then
      return failure.verdict(why, code)
    end
  end
  return jobq.done(tally)
end

local function tell_digest(job)
  local items, why, code = digests.gather(job.args.user)
  if not items then
    return failure.verdict(why, code)
  elseif #items.ids == 0 then
    return jobq.done { items = 0 }
  end
  return send(job, digests.note(job, items), function(tally) return mark(items, tally) end)
end

return {
  push = {
    summary = "tell one user, by all ways that he has and wants",
    queue = "notification",
    timeout = TIMEOUT,
    max_attempts = ATTEMPTS,
    retry_delay = delay,
    args = notes.args_with { user = { "integer", min = 1 } },

    run = function(job)
      local note = notes.of(job, job.args.user, job.args)
      local shown, why, code = people.show(note)
      if not shown then
        return failure.verdict(why, code)
      end
      return unless_quiet(note.user, note.urgent, function()
        return send(job, note, jobq.done)
      end)
    end,
  },

  batch = {
    summary = "tell many users, and sum up",
    queue = "notification",
    timeout = 600, -- seconds; it only adds jobs
    args = notes.args_with {
      name = { "string?", summary = "for people" },
      users = { "integer[]?", max = 100000, summary = "default: the audience" },
    },

    --- All pushes and the end of this job are one commit: a second run never adds any twice.
    run = function(job)
      local done, why, code = jobq.sql.database("queue"):transaction(function(tx)
        local batch = jobq.must(tx:batch {
          name = job.args.name or "notification.batch " .. job.id,
          on_complete = "notification.report",
        })
        local users, problem, problem_code = fan_out.enqueue(batch, job.args)
        if not users then
          return nil, problem, problem_code
        end
        jobq.must(batch:close())
        tx:complete { batch = batch.id, users = users }
      end)
      if not done then
        return failure.verdict(why, code)
      end
    end,
  },

  report = {
    summary = "what has become of a batch of notifications",
    queue = "notification",
    args = { batch = "object" },
    run = function(job)
      local report = fan_out.report(job.args.batch)
      job.log:info("the batch has ended", report)
      return jobq.done(report)
    end,
  },

  digest = {
    summary = "tell a user in one what no digest has told of yet",
    queue = "notification",
    timeout = TIMEOUT,
    max_attempts = ATTEMPTS,
    retry_delay = delay,
    args = { user = { "integer", min = 1 } },

    run = function(job)
      return unless_quiet(job.args.user, false, function() return tell_digest(job) end)
    end,
  },

  digests = {
    summary = "add a digest for each user that has something to be told",
    queue = "notification",
    timeout = 300, -- seconds; it only adds jobs
    run = function()
      local users, why, code = ask "digest_users"
      if not users then
        return failure.verdict(why, code)
      end
      jobq.must(jobq.enqueue_many("notification.digest", users, { unique_fields = { "user" } }))
      return jobq.done { users = #users }
    end,
  },
}
