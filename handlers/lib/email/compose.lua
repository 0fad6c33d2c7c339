--- The arguments of a mail to what jobq.smtp.send takes.
local attachments = require "lib.email.attachments"
local merge = require "lib.merge"
local templates = require "lib.email.templates"
local unsubscribe = require "lib.email.unsubscribe"

local M = {}

--- What all kinds that send mail understand.
M.args = {
  template = { "string?", summary = "NAME.subject, NAME.txt and NAME.html of email.templates" },
  data = { "object?", summary = "values of the template" },
  locale = { "string?", summary = "prefers NAME.LOCALE.txt and so on" },
  subject = { "string?", summary = "instead of the template's" },
  text = "string?",
  html = "string?",
  from = { "string?", summary = "default: the setting smtp.from" },
  reply_to = "string?",
  list = { "string?", summary = "mailing list: adds a link to unsubscribe, spares those who did" },
  attachments = attachments.args,
}

--- With more, or others.
function M.args_with(more)
  return merge(M.args, more)
end

local function values_of(args, link)
  local values = merge(args.data)
  values.unsubscribe_url = link
  return values
end

local function texts_of(args, link)
  if not args.template then
    return { subject = args.subject, text = args.text, html = args.html }
  end
  local texts, why, code =
    templates.texts(args.template, args.locale, values_of(args, link))
  if texts and args.subject then
    texts.subject = args.subject
  end
  return texts, why, code
end

--- The link of a mail of a list; nil for others; or nil, message, code.
local function link_of(args, to)
  if not args.list then
    return nil
  elseif #to > 1 then
    return nil, ("a mail of list '%s' has a link to unsubscribe: it goes to one address, not %d\n"
      .. "hint: email.batch sends one to each"):format(args.list, #to), "bad_address"
  end
  return unsubscribe.link(args.list, to[1].address)
end

local function headers_of(args, link)
  local headers = link and unsubscribe.headers(link) or {}
  headers["Reply-To"] = args.reply_to
  return headers
end

--- The fields of a mail to the parsed addresses; or nil, message, code.
function M.mail(args, to)
  local link, why, code = link_of(args, to)
  local texts, files
  if not why then
    texts, why, code = texts_of(args, link)
  end
  if texts then
    files, why, code = attachments.files(args.attachments)
  end
  if not files then
    return nil, why, code
  elseif not texts.text and not texts.html then
    return nil, "expected a template, a text or html", "bad_mail"
  end
  return {
    from = args.from, subject = texts.subject, text = texts.text, html = texts.html,
    headers = headers_of(args, link), attachments = files,
  }
end

return M
