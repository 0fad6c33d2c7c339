--- jobq.smtp: one mail, from a table of fields to the server's answer.
local attachment = require "jobq.attachment"
local core = require "jobq.core"
local mail_of = require "jobq.mail"
local nearest = require "jobq.nearest"
local refusal = require "jobq.mail_refusal"
local settings = require "jobq.settings"
local strict = require "jobq.strict"

local M = {}

local misuse, show = refusal.misuse, refusal.show

local SENDER = "jobq@localhost"
local TIMEOUT = 60 -- seconds
local IDLE = 10 -- seconds

local OPTIONS = {
  "attachments", "ca_file", "from", "headers", "host", "html", "idle", "message_id", "password",
  "port", "subject", "text", "timeout", "tls", "to", "username",
}

local TYPES = { attachments = "table", headers = "table", html = "string", text = "string" }

local PERMANENT = { bad_address = true, bad_attachment = true, bad_header = true }

local function check_fields(mail)
  if type(mail) ~= "table" then
    misuse("expected a table with the fields of a mail, got %s", show(mail))
  end
  for name in pairs(mail) do
    if nearest.find(tostring(name), OPTIONS) ~= name then
      misuse("unknown field '%s'%s", tostring(name), nearest.hint(name, OPTIONS))
    end
  end
  for name, expected in pairs(TYPES) do
    if mail[name] ~= nil and type(mail[name]) ~= expected then
      misuse("%s: expected a %s, got %s", name, expected, show(mail[name]))
    end
  end
  if mail.text == nil and mail.html == nil then
    misuse("expected a text or html")
  end
end

--- The mail's own field, else the setting; numbers may come as text from there.
local function option(mail, name, default)
  if mail[name] ~= nil then
    return core.secret.open(mail[name])
  end
  return settings.text("smtp." .. name, default)
end

local function integer_option(mail, name, default)
  local value = option(mail, name, default)
  local number = math.tointeger(tonumber(value))
  if not number then
    misuse("%s: '%s' is not an integer", name, tostring(value))
  end
  return number
end

local function add_server(delivery, mail)
  for _, name in ipairs { "ca_file", "host", "password", "tls", "username" } do
    delivery[name] = option(mail, name, nil)
  end
  delivery.port = integer_option(mail, "port", 25)
  delivery.idle = integer_option(mail, "idle", IDLE)
  delivery.timeout = integer_option(mail, "timeout", TIMEOUT)
end

local function sender()
  return settings.text("smtp.from", SENDER)
end

--- What core.smtp.deliver wants, and the Message-ID.
local function prepare(mail)
  check_fields(mail)
  local delivery, message_id = mail_of.compose(mail, sender())
  add_server(delivery, mail)
  return delivery, message_id
end

--- Sends one mail and waits for the server's verdict. A recipient that is refused refuses it all.
function M.send(mail)
  local ok, delivery, message_id = pcall(prepare, mail)
  if not ok then
    if refusal.is(delivery) then
      return nil, delivery.message, delivery.code
    end
    error(delivery, type(delivery) == "string" and 2 or 0)
  end
  local read, problem, errno = attachment.read_files(delivery.message)
  if not read then
    return nil, problem, errno
  end
  local reply, message, code = core.smtp.deliver(delivery)
  if not reply then
    return nil, message, code
  end
  return { id = message_id, reply = reply }
end

--- { address, domain, name } of "Ann <ann@example.org>"; or nil, message, code.
function M.parse_address(text)
  local ok, name, address = pcall(mail_of.parse_address, "address", text)
  if not ok then
    if not refusal.is(name) then
      error(name, 0)
    end
    return nil, (name.message:gsub("^address: ", "")), name.code
  end
  return { address = address, domain = address:match("@(.*)$"):lower(), name = name }
end

--- A Message-ID that all attempts of a job share, so that the receiver can drop a second copy.
function M.message_id(job)
  local _, from = mail_of.parse_address("smtp.from", sender())
  local created_us = math.floor(job.created_at * 1e6)
  return ("<job.%d.%x@%s>"):format(job.id, created_us, from:match("@(.*)$"))
end

--- True for what another attempt cannot mend: the server said no for good, or the mail is wrong.
function M.is_permanent(code)
  return PERMANENT[code] or tostring(code):find("^smtp_5%d%d$") ~= nil
end

return strict.close("jobq.smtp", M)
