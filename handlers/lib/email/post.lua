--- Sends one mail of a job, to those who may get it.
local compose = require "lib.email.compose"
local jobq = require "jobq"
local recipients = require "lib.email.recipients"

--- Seconds for the server's verdict; the kinds that send have more.
local TIMEOUT = 60

--- The same Message-ID in all runs of the job: where nobody can know whether the server has taken
--- the mail, it is sent again, and the receiver drops the second one.
local function send(job, mail, to)
  mail.to, mail.timeout, mail.message_id = to, TIMEOUT, jobq.smtp.message_id(job)
  local sent, why, code = jobq.smtp.send(mail)
  if sent then
    job.log:info("sent", { to = to, message_id = sent.id, reply = sent.reply })
  end
  return sent, why, code
end

--- args: to, and those of compose.args. { id, reply, suppressed }, without id if nobody may get it;
--- or nil, message, code.
return function(job, args)
  local all, why, code = recipients.parse(args.to)
  local mail, to, left_out
  if all then
    mail, why, code = compose.mail(args, all)
  end
  if mail then
    to, left_out, code = recipients.wanted(all, args.list ~= nil)
  end
  if not to then
    return nil, why or left_out, code
  elseif #to == 0 then
    job.log:info("suppressed", { to = left_out })
    return { suppressed = left_out }
  end
  local sent, problem, problem_code = send(job, mail, to)
  if not sent then
    return nil, problem, problem_code
  end
  return { id = sent.id, reply = sent.reply, suppressed = left_out }
end
