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

local LINE_MAX = 900 -- bytes of a header field that may not be folded; RFC 5322 has 998

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

--- Fields that programs read: a word that is encoded would be none of theirs (RFC 2047, 5).
local function is_for_programs(name)
  return name:find("^list%-") ~= nil or name == "in-reply-to" or name == "references"
end

local function check_plain(name, value)
  if value:find("[^ -~]") or #value > LINE_MAX then
    refuse("bad_header", "%s: %s is not a line of ascii of at most %d bytes",
      name, show(value), LINE_MAX)
  end
  return value
end

local function format_header(name, given)
  local where, key = "headers." .. name, name:lower()
  local value = refusal.check_line("bad_header", where, given)
  if ADDRESS_HEADERS[key] then
    return (each_address(where, value))
  end
  return is_for_programs(key) and check_plain(where, value) or encode(value)
end

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
    lines[#lines + 1] = ("%s: %s"):format(name, format_header(name, headers[name]))
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

--- Each part of a message is a function that adds its texts, which nothing stands between.

local function text_part(type_name, text, may_be_plain)
  return function(parts)
    local body, encoding = core.smtp.encode_body(text, may_be_plain)
    parts[#parts + 1] = ("Content-Type: text/%s; charset=utf-8\r\n"):format(type_name)
    parts[#parts + 1] = ("Content-Transfer-Encoding: %s\r\n\r\n"):format(encoding)
    parts[#parts + 1] = body
  end
end

local function file_part(file)
  return function(parts)
    parts[#parts + 1] = file.head
    parts[#parts + 1] = file.body -- a table while it is on the disk
  end
end

--- parameter: more of the Content-Type. What is not plain never contains "=_", so that no part can
--- end another.
local function multipart(subtype, parameter, members)
  return function(parts)
    local boundary = "=_jobq_" .. subtype
    parts[#parts + 1] = ('Content-Type: multipart/%s;%s boundary="%s"\r\n'):format(
      subtype, parameter, boundary)
    for _, add in ipairs(members) do
      parts[#parts + 1] = ("\r\n--%s\r\n"):format(boundary)
      add(parts)
    end
    parts[#parts + 1] = ("\r\n--%s--\r\n"):format(boundary)
  end
end

local function with_files(subtype, parameter, first, files)
  local members = { first }
  for _, file in ipairs(files) do
    members[#members + 1] = file_part(file)
  end
  return #files == 0 and first or multipart(subtype, parameter, members)
end

--- is_alone: nothing follows, so that plain text may stay plain. shown: what the html shows.
local function texts_part(mail, is_alone, shown)
  if mail.html == nil then
    return text_part("plain", mail.text, is_alone)
  end
  local html = text_part("html", mail.html, is_alone and mail.text == nil and #shown == 0)
  html = with_files("related", ' type="text/html";', html, shown)
  if mail.text == nil then
    return html
  end
  return multipart("alternative", "", { text_part("plain", mail.text, false), html })
end

--- The message in parts; those that are on the disk are tables.
local function parts_of(lines, mail)
  local attached, shown = attachment.parts_of(mail.attachments or {})
  if #shown > 0 and mail.html == nil then
    refuse("bad_attachment", "attachments: one has a cid, and there is no html that could show it")
  end
  lines[#lines + 1] = "MIME-Version: 1.0\r\n"
  local parts = { table.concat(lines, "\r\n") }
  with_files("mixed", "", texts_part(mail, #attached == 0, shown), attached)(parts)
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
