--- jobq.smtp: one mail, from a table of fields to the server's answer.
local core = require "jobq.core"
local formats = require "jobq.formats"
local nearest = require "jobq.nearest"
local settings = require "jobq.settings"
local strict = require "jobq.strict"

local M = {}

local SENDER = "jobq@localhost"
local TIMEOUT = 60 -- seconds

local OPTIONS = {
  "ca_file", "from", "headers", "host", "html", "message_id", "password", "port", "subject",
  "text", "timeout", "tls", "to", "username",
}

local TYPES = { headers = "table", html = "string", text = "string" }

--- Header fields that the mail's own fields make.
local OWN_HEADERS = {
  ["bcc"] = "to", ["content-transfer-encoding"] = "text", ["content-type"] = "text",
  ["from"] = "from", ["message-id"] = "message_id", ["mime-version"] = "text",
  ["subject"] = "subject", ["to"] = "to",
}
--- Header fields that hold addresses: their names are encoded, the addresses are not.
local ADDRESS_HEADERS = { ["cc"] = true, ["reply-to"] = true, ["sender"] = true }

local encode = core.smtp.encode_header

-- What the caller should have known raises; what may come from a job's arguments is answered with
-- nil, message, code. Both leave the functions below as an error: this is the second kind.
local Refusal = {}

local function refuse(code, text, ...)
  error(setmetatable({ message = text:format(...), code = code }, Refusal), 0)
end

local function misuse(text, ...)
  error(("jobq.smtp.send: " .. text):format(...), 0)
end

local function show(value)
  return type(value) == "string" and ("'%s'"):format(value:gsub("%c", "?")) or "a " .. type(value)
end

--- A text without line ends and other control characters: they would start a header of their own.
local function check_line(name, value)
  if type(value) ~= "string" then
    refuse("bad_header", "%s: expected a text, got %s", name, show(value))
  end
  if value:find("%c") then
    refuse("bad_header", "%s: %s contains control characters", name, show(value))
  end
  return value
end

--- "Ann <ann@example.org>" or the bare address: name (or nil) and address.
local function parse_address(name, value)
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
    local display, address = parse_address(#list > 1 and ("%s[%d]"):format(name, i) or name, item)
    shown[i], plain[i] = format_address(display, address), address
  end
  return table.concat(shown, ",\r\n "), plain
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
    local value = check_line("headers." .. name, headers[name])
    local shown = ADDRESS_HEADERS[name:lower()] and each_address("headers." .. name, value)
    lines[#lines + 1] = ("%s: %s"):format(name, shown or encode(value))
  end
end

local function add_part(lines, type_name, text, may_be_plain)
  local body, encoding = core.smtp.encode_body(text, may_be_plain)
  lines[#lines + 1] = ("Content-Type: text/%s; charset=utf-8"):format(type_name)
  lines[#lines + 1] = "Content-Transfer-Encoding: " .. encoding
  lines[#lines + 1] = ""
  lines[#lines + 1] = body
end

local function add_body(lines, mail)
  lines[#lines + 1] = "MIME-Version: 1.0"
  if mail.html == nil then
    add_part(lines, "plain", mail.text, true)
  elseif mail.text == nil then
    add_part(lines, "html", mail.html, true)
  else
    local boundary = "=_jobq_alternative" -- encoded parts never contain "=_"
    lines[#lines + 1] = ('Content-Type: multipart/alternative; boundary="%s"'):format(boundary)
    lines[#lines + 1] = "\r\n--" .. boundary
    add_part(lines, "plain", mail.text, false)
    lines[#lines + 1] = "--" .. boundary
    add_part(lines, "html", mail.html, false)
    lines[#lines + 1] = ("--%s--\r\n"):format(boundary)
  end
end

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

local function random_id(domain)
  return ("<%016x.%016x@%s>"):format(math.random(0), math.random(0), domain)
end

--- The mail's own field, else the setting; numbers may come as text from there.
local function option(mail, name, default)
  if mail[name] ~= nil then
    return mail[name]
  end
  return settings.get("smtp." .. name, default)
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
  delivery.timeout = integer_option(mail, "timeout", TIMEOUT)
end

--- What core.smtp.deliver wants, and the Message-ID.
local function compose(mail)
  check_fields(mail)
  local display, from = parse_address("from", mail.from or settings.get("smtp.from", SENDER))
  local shown, to = each_address("to", mail.to)
  local message_id = mail.message_id or random_id(from:match("@(.*)$"))
  if not check_line("message_id", message_id):find("^<[^<>%s]+@[^<>%s]+>$") then
    refuse("bad_header", "message_id: %s is not like '<id@domain>'", show(message_id))
  end
  local lines = {
    "Date: " .. os.date("!%a, %d %b %Y %H:%M:%S +0000"),
    "From: " .. format_address(display, from),
    "To: " .. shown,
    "Message-ID: " .. message_id,
    "Subject: " .. encode(check_line("subject", mail.subject or "")),
  }
  add_own_headers(lines, mail.headers or {})
  add_body(lines, mail)
  local delivery = { from = from, to = to, message = table.concat(lines, "\r\n") }
  add_server(delivery, mail)
  return delivery, message_id
end

--- Sends one mail and waits for the server's verdict. A recipient that is refused refuses it all.
function M.send(mail)
  local ok, delivery, message_id = pcall(compose, mail)
  if not ok then
    if getmetatable(delivery) == Refusal then
      return nil, delivery.message, delivery.code
    end
    error(delivery, type(delivery) == "string" and 2 or 0)
  end
  local reply, message, code = core.smtp.deliver(delivery)
  if not reply then
    return nil, message, code
  end
  return { id = message_id, reply = reply }
end

--- A Message-ID that all attempts of a job share, so that the receiver can drop a second copy.
function M.message_id(job)
  local _, from = parse_address("smtp.from", settings.get("smtp.from", SENDER))
  local created_us = math.floor(job.created_at * 1e6)
  return ("<job.%d.%x@%s>"):format(job.id, created_us, from:match("@(.*)$"))
end

--- True for what another attempt cannot mend: the server said no for good, or the mail is wrong.
function M.is_permanent(code)
  return code == "bad_address" or code == "bad_header" or tostring(code):find("^smtp_5%d%d$") ~= nil
end

return strict.close("jobq.smtp", M)
