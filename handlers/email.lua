--- Mail. Every attempt of a job carries the same Message-ID, so that the receiver can drop a copy.
local jobq = require "jobq"

return {
  send = {
    summary = "send one mail",
    queue = "email",
    timeout = 30, -- seconds
    max_attempts = 5,
    args = {
      to = { "any", summary = "a mail address or an array of them" },
      subject = "string",
      text = "string",
      html = "string?",
      from = "string?",
    },

    run = function(job)
      local mail = job.args
      local sent, why, code = jobq.smtp.send {
        to = mail.to,
        from = mail.from,
        subject = mail.subject,
        text = mail.text,
        html = mail.html,
        message_id = jobq.smtp.message_id(job),
      }
      if not sent and jobq.smtp.is_permanent(code) then
        return jobq.discard(why) -- another attempt would fail as well
      elseif not sent then
        return nil, why, code -- tried again later
      end
      job.log:info("sent", { to = mail.to, reply = sent.reply })
      return jobq.done(sent)
    end,
  },
}
