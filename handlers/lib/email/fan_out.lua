--- A mail to many, as the arguments of one job for each.
local compose = require "lib.email.compose"
local jobq = require "jobq"
local merge = require "lib.merge"
local recipients = require "lib.email.recipients"

local M = {}

local CHUNK = 500 -- jobs that are added in one statement

--- What all mails have in common.
local function common(args)
  local mail = {}
  for name in pairs(compose.args) do
    mail[name] = args[name]
  end
  return mail
end

local function mail_to(mail, recipient)
  local own = merge(mail, { to = recipient.to, locale = recipient.locale })
  own.data = (mail.data or recipient.data) and merge(mail.data, recipient.data) or nil
  return own
end

--- Each address once; or nil, message, code.
local function parse_all(given)
  local list, seen = {}, {}
  for i, recipient in ipairs(given) do
    local found, why, code = recipients.parse(recipient.to)
    if not found then
      return nil, ("recipients[%d].%s"):format(i, why:gsub("^to%[1%]", "to")), code
    end
    local key = found[1].address:lower()
    if not seen[key] then
      seen[key] = true
      list[#list + 1] = { address = key, domain = found[1].domain, given = recipient }
    end
  end
  return list
end

--- What is to be sent: domains, from domain to the arguments of its mails; count; suppressed;
--- for_report. Or nil, message, code.
function M.plan(args)
  local list, why, code = parse_all(args.recipients)
  local reasons
  if list then
    reasons, why, code = recipients.suppressed(list, args.list ~= nil)
  end
  if not reasons then
    return nil, why, code
  end
  local domains, count, mail = {}, 0, common(args)
  for _, recipient in ipairs(list) do
    if not reasons[recipient.address] then
      domains[recipient.domain] = domains[recipient.domain] or {}
      table.insert(domains[recipient.domain], mail_to(mail, recipient.given))
      count = count + 1
    end
  end
  local suppressed = #list - count
  return {
    domains = domains, count = count, suppressed = suppressed,
    for_report = { suppressed = suppressed, report_to = args.report_to },
  }
end

--- Adds them all. limit_key: limits of the kind may go by the domain.
function M.enqueue(batch, plan)
  for domain, mails in pairs(plan.domains) do
    for first = 1, #mails, CHUNK do
      local chunk = table.move(mails, first, math.min(first + CHUNK - 1, #mails), 1, {})
      jobq.must(batch:enqueue_many("email.send", chunk, { limit_key = domain }))
    end
  end
end

--- What has become of it, from the arguments of the callback.
function M.report(args)
  local batch = args.batch
  return {
    batch = batch.id, name = batch.name, total = batch.total + args.suppressed,
    sent = batch.succeeded, suppressed = args.suppressed, failed = batch.failed,
    cancelled = batch.cancelled + batch.expired + batch.deleted,
  }
end

return M
