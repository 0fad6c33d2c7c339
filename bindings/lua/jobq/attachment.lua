--- Attachments of a mail: each is { content = bytes, name = ... } or { path = ... }, with a type.
--- One with a cid is shown within the html.
local core = require "jobq.core"
local nearest = require "jobq.nearest"
local refusal = require "jobq.mail_refusal"

local M = {}

local refuse, misuse, show = refusal.refuse, refusal.misuse, refusal.show

local OPTIONS = { "cid", "content", "name", "path", "type" }
local CODE = "bad_attachment"
local NAME_BYTES_MAX = 255 -- as in a folder; three times that still fits a line of a header
local CID_BYTES_MAX = 200
local UNKNOWN_TYPE = "application/octet-stream"

--- What people attach, by the end of its name. For all else there is the field `type`.
local TYPES = {
  csv = "text/csv; charset=utf-8", gif = "image/gif", gz = "application/gzip",
  htm = "text/html; charset=utf-8", html = "text/html; charset=utf-8",
  ics = "text/calendar; charset=utf-8", jpeg = "image/jpeg", jpg = "image/jpeg",
  json = "application/json", pdf = "application/pdf", png = "image/png", svg = "image/svg+xml",
  txt = "text/plain; charset=utf-8", webp = "image/webp", xml = "application/xml",
  zip = "application/zip",
  docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  odt = "application/vnd.oasis.opendocument.text",
  xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

--- Parts of parts may not be base64 (RFC 2046), so they cannot come in here.
local COMPOSITE = { message = true, multipart = true }

local function check_fields(where, given)
  if type(given) ~= "table" then
    misuse("%s: expected a table like { path = '/a/file.pdf' }, got %s", where, show(given))
  end
  for name, value in pairs(given) do
    if nearest.find(tostring(name), OPTIONS) ~= name then
      misuse("%s: unknown field '%s'%s", where, tostring(name), nearest.hint(name, OPTIONS))
    elseif type(value) ~= "string" then
      misuse("%s.%s: expected a string, got %s", where, name, show(value))
    end
  end
  if (given.content == nil) == (given.path == nil) then
    misuse("%s: expected either content or path", where)
  end
  if given.path and (given.path == "" or given.path:find("\0", 1, true)) then
    refuse(CODE, "%s.path: %s is not a path", where, show(given.path))
  end
end

--- Receivers save it under this name: one that leads to another folder is refused here already.
local function check_name(where, given)
  local name = given.name or given.path and given.path:match("[^/]*$")
  if not name then
    misuse("%s: content needs a name", where)
  end
  where = where .. ".name"
  refusal.check_line(CODE, where, name)
  local is_folder = name == "" or name == "." or name == ".."
  if is_folder or name:find("[/\\]") or not utf8.len(name) then
    refuse(CODE, "%s: %s is not the name of a file", where, show(name))
  elseif #name > NAME_BYTES_MAX then
    refuse(CODE, "%s: %d bytes are more than %d", where, #name, NAME_BYTES_MAX)
  end
  return name
end

local function check_type(where, given, name)
  if given.type == nil then
    return TYPES[(name:match("%.(%w+)$") or ""):lower()] or UNKNOWN_TYPE
  end
  local value = refusal.check_line(CODE, where .. ".type", given.type)
  local group = value:match("^([%w!#$&^_.+-]+)/[%w!#$&^_.+-]+$")
    or value:match("^([%w!#$&^_.+-]+)/[%w!#$&^_.+-]+; *[%w-]+=[%w._-]+$")
  if not group or COMPOSITE[group:lower()] then
    refuse(CODE, "%s.type: %s is not a type like 'text/csv; charset=utf-8'", where, show(value))
  end
  return value
end

--- RFC 2231 for what is not ASCII, or that readers would decode; the plain form is what all know.
local function format_name(name)
  if name:find("[\128-\255]") or name:find("=?", 1, true) then
    local encoded = name:gsub("[^%w._-]", function(c) return ("%%%02X"):format(c:byte()) end)
    return "filename*=UTF-8''" .. encoded
  end
  return ('filename="%s"'):format(name:gsub('"', "\\%0"))
end

--- As it stands in "cid:..." of the html: nothing there would have to be escaped (RFC 2392).
local function check_cid(where, cid, known)
  local is_cid = cid:find("^[%w._+-]+$") or cid:find("^[%w._+-]+@[%w.-]+$")
  if not is_cid or #cid > CID_BYTES_MAX then
    refuse(CODE, "%s.cid: %s is not a name like 'logo' or 'logo@example.org'", where, show(cid))
  elseif known[cid] then
    refuse(CODE, "%s.cid: '%s' is that of %s already", where, cid, known[cid])
  end
  known[cid] = where
  return ("Content-Disposition: inline;\r\n %%s\r\nContent-ID: <%s>"):format(cid)
end

local function head_of(where, given, known)
  local name = check_name(where, given)
  local disposition = given.cid and check_cid(where, given.cid, known)
    or "Content-Disposition: attachment;\r\n %s"
  return table.concat({
    "Content-Type: " .. check_type(where, given, name),
    disposition:format(format_name(name)),
    "Content-Transfer-Encoding: base64", "", "",
  }, "\r\n")
end

local function check_list(list)
  local count = 0
  for _ in pairs(list) do
    count = count + 1
  end
  if count ~= #list then
    misuse("attachments: expected an array of tables")
  end
end

local encode = core.smtp.encode_bytes

--- Checks all of them and gives, for each, its head and its content: a text, or { path, where };
--- first those that are attached, then those that the html shows.
function M.parts_of(list)
  check_list(list)
  local attached, shown, known = {}, {}, {}
  for i, given in ipairs(list) do
    local where = ("attachments[%d]"):format(i)
    check_fields(where, given)
    table.insert(given.cid and shown or attached, {
      head = head_of(where, given, known),
      body = given.content and encode(given.content) or { path = given.path, where = where },
    })
  end
  return attached, shown
end

--- Waits for what is still on the disk. true; or nil, message, code.
---@param parts (string|table)[] of a message; the tables become texts
function M.read_files(parts)
  for i, part in ipairs(parts) do
    if type(part) == "table" then
      local content, why, code = core.fs.read(part.path)
      if not content then
        return nil, ("%s: %s"):format(part.where, why), code
      end
      parts[i] = encode(content)
    end
  end
  return true
end

return M
