--- Mail: one (send), one to each of many (batch), what has happened since the last time (digest).
---
--- Each mail is sent once, but for one case that nobody can tell: the connection, or the worker,
--- goes after the server has taken it and before that is written down. Then it is sent again with
--- the same Message-ID, by which receivers drop the second one.
local ask = require "lib.email.ask"
local compose = require "lib.email.compose"
local notes = require "lib.email.digest"
local failure = require "lib.email.failure"
local fan_out = require "lib.email.fan_out"
local jobq = require "jobq"
local post = require "lib.email.post"
local links = require "lib.email.unsubscribe"

local TIMEOUT = 90 -- seconds; the server has 60 of them

--- Servers that greylist want to be asked again in minutes, an outage lasts hours: 1, 2, 4 ...
--- minutes, at most one hour, about four hours in all.
local ATTEMPTS = 10
local function delay(attempt)
  return math.min(30 * 2 ^ attempt, 3600)
end

--- The marks and the end of the job are one commit; what is not marked is told by the next digest.
local function tell(job, user, items)
  local sent, why, code = post(job, notes.mail(user, items))
  if not sent then
    return failure(why, code)
  elseif not sent.id then
    return jobq.done(sent) -- suppressed
  end
  return jobq.sql.transaction(function(tx)
    jobq.must(notes.mark(tx, items))
    tx:complete { id = sent.id, reply = sent.reply, items = #items }
  end)
end

return {
  send = {
    summary = "send one mail",
    queue = "email",
    timeout = TIMEOUT,
    max_attempts = ATTEMPTS,
    retry_delay = delay,
    limits = {
      name = "email.domain", key_by = "limit_key",
      running = jobq.config.email.domain_running, rate = jobq.config.email.domain_rate,
    },
    args = compose.args_with {
      to = { "any", summary = "a mail address or an array of them" },
    },

    run = function(job)
      local sent, why, code = post(job, job.args)
      if not sent then
        return failure(why, code)
      end
      return jobq.done(sent)
    end,
  },

  batch = {
    summary = "send one mail to each of many, and sum up",
    queue = "email",
    timeout = 300, -- seconds; it only adds jobs
    args = compose.args_with {
      name = { "string?", summary = "for people" },
      recipients = { "array", min = 1, max = 10000, items = {
        "object", fields = { to = "string", data = "object?", locale = "string?" },
      } },
      report_to = { "string?", summary = "an address that gets the summary" },
    },

    --- All mails and the end of this job are one commit: a second run never adds any twice.
    run = function(job)
      local plan, why, code = fan_out.plan(job.args)
      if not plan then
        return failure(why, code)
      end
      return jobq.sql.database("queue"):transaction(function(tx)
        local batch = jobq.must(tx:batch {
          name = job.args.name or "email.batch " .. job.id,
          on_complete = { kind = "email.report", args = plan.for_report },
        })
        fan_out.enqueue(batch, plan)
        jobq.must(batch:close())
        tx:complete { batch = batch.id, mails = plan.count, suppressed = plan.suppressed }
      end)
    end,
  },

  report = {
    summary = "what has become of a batch of mails",
    queue = "email",
    timeout = TIMEOUT,
    max_attempts = ATTEMPTS,
    retry_delay = delay,
    args = {
      batch = "object",
      suppressed = { "integer", default = 0 },
      report_to = "string?",
    },

    run = function(job)
      local report, to = fan_out.report(job.args), job.args.report_to
      job.log:info("the batch has ended", report)
      if to then
        local sent, why, code = post(job, { to = to, template = "report", data = report })
        if not sent then
          return failure(why, code)
        end
      end
      return jobq.done(report)
    end,
  },

  digest = {
    summary = "send a user what no digest has told of yet",
    queue = "email",
    timeout = TIMEOUT,
    max_attempts = ATTEMPTS,
    retry_delay = delay,
    limits = { running = 1, key_by = "user" }, -- two at once would tell the same
    args = { user = { "integer", min = 1 } },

    run = function(job)
      local user, items, code = notes.gather(job.args.user)
      if not user then
        return failure(items, code)
      elseif #items == 0 then
        return jobq.done { items = 0 }
      end
      return tell(job, user, items)
    end,
  },

  digests = {
    summary = "add a digest for each user that has something to be told",
    queue = "email",
    timeout = 300, -- seconds; it only adds jobs
    run = function()
      local users, why, code = ask("digest_users")
      if not users then
        return failure(why, code)
      end
      jobq.must(jobq.enqueue_many("email.digest", users, { unique_fields = { "user" } }))
      return jobq.done { users = #users }
    end,
  },

  unsubscribe = {
    summary = "end a subscription, as the link in a mail says",
    queue = "email",
    args = { token = { "string", max = 1000 } },
    run = function(job)
      local list, address, code = links.open(job.args.token)
      if not list then
        return failure(address, code)
      end
      local done, why, sql_code = ask("unsubscribe", nil, address, list)
      if not done then
        return failure(why, sql_code)
      end
      return jobq.done { list = list, email = address }
    end,
  },
}
