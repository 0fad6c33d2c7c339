--- A mail as it goes over the wire, from the fields that a handler gives (RFC 5322, RFC 2045).
local attachment = require "jobq.attachment"
local core = require "jobq.core"
local formats = require "jobq.formats"
local refusal = require "jobq.mail_refusal"

local M = {}

local refuse, misuse, show = refusal.refuse, refusal.misuse, refusal.show

--- Header fields that the mail's own fields make.
local OWN_HEADERS = {
  ["bcc"] = "to", ["content-transfer-encoding"] = "text", ["content-type"] = "text",
  ["from"] = "from", ["message-id"] = "message_id", ["mime-version"] = "text",
  ["subject"] = "subject", ["to"] = "to",
}
--- Header fields that hold addresses: their names are encoded, the addresses are not.
local ADDRESS_HEADERS = { ["cc"] = true, ["reply-to"] = true, ["sender"] = true }

--- What is not plain never contains "=_", so that no part can end another.
local ALTERNATIVE, MIXED = "=_jobq_alternative", "=_jobq_mixed"

local encode = core.smtp.encode_header

---- addresses ----

--- "Ann <ann@example.org>" or the bare address: name (or nil) and address.
function M.parse_address(name, value)
  local text = type(value) == "string" and value:match("^ *(.-) *$") or ""
  local display, address = text:match("^(.-) *<([^<>]*)>$")
  if display then
    display = display:match('^"(.*)"$') or display
  end
  address = address or text
  if text:find("%c") or not formats.types.email.check(address) then
    refuse("bad_address", "%s: %s is not a mail address", name, show(value))
  end
  return display ~= "" and display or nil, address
end

local function format_address(display, address)
  if not display then
    return address
  end
  if encode(display) ~= display then
    return ("%s <%s>"):format(encode(display), address)
  end
  return ('"%s" <%s>'):format(display:gsub('[\\"]', "\\%0"), address)
end

local function each_address(name, value)
  local list = type(value) == "table" and value or { value }
  if #list == 0 then
    refuse("bad_address", "%s: expected a mail address or an array of them, got none", name)
  end
  local shown, plain = {}, {}
  for i, item in ipairs(list) do
    local where = #list > 1 and ("%s[%d]"):format(name, i) or name
    local display, address = M.parse_address(where, item)
    shown[i], plain[i] = format_address(display, address), address
  end
  return table.concat(shown, ",\r\n "), plain
end

---- header ----

local function add_own_headers(lines, headers)
  local names = {}
  for name in pairs(headers) do
    if type(name) ~= "string" or not name:find("^[%w-]+$") then
      refuse("bad_header", "headers: %s is not the name of a header", show(name))
    end
    local option = OWN_HEADERS[name:lower()]
    if option then
      misuse("headers: '%s' comes from the field '%s'", name, option)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = refusal.check_line("bad_header", "headers." .. name, headers[name])
    local shown = ADDRESS_HEADERS[name:lower()] and each_address("headers." .. name, value)
    lines[#lines + 1] = ("%s: %s"):format(name, shown or encode(value))
  end
end

local function random_id(domain)
  return ("<%016x.%016x@%s>"):format(math.random(0), math.random(0), domain)
end

local function check_id(id)
  if not refusal.check_line("bad_header", "message_id", id):find("^<[^<>%s]+@[^<>%s]+>$") then
    refuse("bad_header", "message_id: %s is not like '<id@domain>'", show(id))
  end
  return id
end

---- body ----

local function add_text(lines, type_name, text, may_be_plain)
  local body, encoding = core.smtp.encode_body(text, may_be_plain)
  lines[#lines + 1] = ("Content-Type: text/%s; charset=utf-8"):format(type_name)
  lines[#lines + 1] = "Content-Transfer-Encoding: " .. encoding
  lines[#lines + 1] = ""
  lines[#lines + 1] = body
end

--- is_alone: nothing follows, so that plain text may stay plain.
local function add_texts(lines, mail, is_alone)
  if mail.html == nil then
    add_text(lines, "plain", mail.text, is_alone)
  elseif mail.text == nil then
    add_text(lines, "html", mail.html, is_alone)
  else
    lines[#lines + 1] = ('Content-Type: multipart/alternative; boundary="%s"'):format(ALTERNATIVE)
    lines[#lines + 1] = "\r\n--" .. ALTERNATIVE
    add_text(lines, "plain", mail.text, false)
    lines[#lines + 1] = "--" .. ALTERNATIVE
    add_text(lines, "html", mail.html, false)
    lines[#lines + 1] = ("--%s--\r\n"):format(ALTERNATIVE)
  end
end

--- The message in parts, which nothing stands between; those that are on the disk are tables.
local function parts_of(lines, mail)
  local attached = attachment.parts_of(mail.attachments or {})
  lines[#lines + 1] = "MIME-Version: 1.0"
  if #attached == 0 then
    add_texts(lines, mail, true)
    return { table.concat(lines, "\r\n") }
  end
  lines[#lines + 1] = ('Content-Type: multipart/mixed; boundary="%s"'):format(MIXED)
  lines[#lines + 1] = "\r\n--" .. MIXED
  add_texts(lines, mail, false)
  local parts = { table.concat(lines, "\r\n") }
  for _, part in ipairs(attached) do
    parts[#parts + 1] = ("\r\n--%s\r\n%s"):format(MIXED, part.head)
    parts[#parts + 1] = part.body
  end
  parts[#parts + 1] = ("--%s--\r\n"):format(MIXED)
  return parts
end

---- all of it ----

--- What core.smtp.deliver wants of it, and the Message-ID. Raises what jobq.mail_refusal knows.
---@param mail table its fields, of the right types
---@param sender string who sends it unless it says so itself
function M.compose(mail, sender)
  local display, from = M.parse_address("from", mail.from or sender)
  local shown, to = each_address("to", mail.to)
  local message_id = check_id(mail.message_id or random_id(from:match("@(.*)$")))
  local lines = {
    "Date: " .. os.date("!%a, %d %b %Y %H:%M:%S +0000"),
    "From: " .. format_address(display, from),
    "To: " .. shown,
    "Message-ID: " .. message_id,
    "Subject: " .. encode(refusal.check_line("bad_header", "subject", mail.subject or "")),
  }
  add_own_headers(lines, mail.headers or {})
  return { from = from, to = to, message = parts_of(lines, mail) }, message_id
end

return M
