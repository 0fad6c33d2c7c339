--- jobq.http: a request, from a table of fields to the server's reply.
local core = require "jobq.core"
local nearest = require "jobq.nearest"
local parse_bytes = require("jobq.options").parse_bytes
local refusal = require "jobq.refusal"
local settings = require "jobq.settings"
local sorted_keys = require "jobq.sorted_keys"
local strict = require "jobq.strict"

local M = {}

local TIMEOUT, CONNECT_TIMEOUT = 60, 10 -- seconds
local REDIRECTS = 5
local LIMIT, FILE_LIMIT = 10 << 20, 1 << 30 -- bytes

local VERSIONS = { [false] = 1, prior_knowledge = 2 } -- enum http_version; else 0

--- Each option and its type; "any" for those that are looked at one by one.
local OPTIONS = {
  allow_private = "boolean", bearer = "string", body = "string", ca_file = "string",
  cert_file = "string", connect_timeout = "number", file = "string", form = "table",
  headers = "table", http2 = "any", idempotency_key = "any", json = "any", key_file = "string",
  key_password = "string", limit = "any", method = "string", password = "string", query = "table",
  redirects = "number", timeout = "number", to_file = "string", url = "any", username = "string",
}

--- Those that may be secrets, too; so may headers, query and form.
local SECRETS = { bearer = true, key_password = true, password = true, username = true }

local BODIES = { "body", "file", "form", "json" }

--- Header fields that the request itself makes.
local OWN_HEADERS = {
  ["content-length"] = "body", ["transfer-encoding"] = "body", ["expect"] = "body",
}

local refuse, show = refusal.refuse, refusal.show

local function misuse(text, ...)
  error(text:format(...), 0)
end

local function check_types(request)
  for name, value in pairs(request) do
    local expected = OPTIONS[name]
    if not expected then
      misuse("unknown option '%s'%s", tostring(name), nearest.hint(name, OPTIONS))
    end
    value = SECRETS[name] and core.secret.open(value) or value
    if expected ~= "any" and type(value) ~= expected then
      misuse("%s: expected a %s, got %s", name, expected, show(value))
    end
    if expected == "string" and name ~= "body" and value:find("\0", 1, true) then
      misuse("%s: %s contains a NUL byte", name, show(request[name]))
    end
  end
end

--- A text without line ends and other control characters: they would start a header of their own.
local function check_line(name, given)
  local value = core.secret.open(given)
  if type(value) == "number" then
    value = tostring(value)
  end
  if type(value) ~= "string" then
    refuse("bad_header", "%s: expected a text, got %s", name, show(value))
  end
  if value:gsub("\t", ""):find("%c") then
    refuse("bad_header", "%s: %s contains control characters", name, show(given))
  end
  return value
end

---- url and body ----

local function escape(value)
  return (tostring(value):gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

--- { a = 1, b = { "x", "y" } } as a=1&b=x&b=y
local function encode_pairs(option, fields)
  local parts = {}
  for _, name in ipairs(sorted_keys(fields)) do
    local values = fields[name]
    for _, given in ipairs(type(values) == "table" and values or { values }) do
      local value = core.secret.open(given)
      if type(value) == "table" or type(value) == "function" or type(value) == "userdata" then
        misuse("%s.%s: expected a text, a number or a boolean, got %s", option, name, show(value))
      end
      parts[#parts + 1] = escape(name) .. "=" .. escape(value)
    end
  end
  return table.concat(parts, "&")
end

local function check_url(request)
  local url = request.url
  local scheme, rest = tostring(url):match("^(%a+)(://[^/?#]+.*)$")
  scheme = scheme and scheme:lower()
  if type(url) ~= "string" or scheme ~= "http" and scheme ~= "https" or url:find("[%c ]") then
    refuse("bad_url", "url: %s is not like 'https://example.org/path'", show(url))
  end
  url = scheme .. rest
  if request.query then
    local plain, fragment = url:match("^([^#]*)(.*)$")
    local separator = plain:find("?", 1, true) and "&" or "?"
    url = plain .. separator .. encode_pairs("query", request.query) .. fragment
  end
  return url
end

local function encode_json(value)
  local ok, text = pcall(core.json.encode, value)
  if not ok then
    misuse("json: %s", text)
  end
  return text
end

--- The body and the Content-Type that goes with it; "" takes libcurl's own away.
local function make_body(request)
  local given
  for _, name in ipairs(BODIES) do
    if request[name] ~= nil then
      if given then
        misuse("a request has one body, got %s and %s", given, name)
      end
      given = name
    end
  end
  if given == "json" then
    return encode_json(request.json), "application/json"
  elseif given == "form" then
    return encode_pairs("form", request.form), "application/x-www-form-urlencoded"
  end
  return request.body, ""
end

---- headers ----

local function add_header(lines, name, value)
  lines[#lines + 1] = value == "" and name .. ";" or name .. ": " .. value
end

local function add_given_headers(lines, headers)
  local seen = {}
  for _, name in ipairs(sorted_keys(headers)) do
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      refuse("bad_header", "headers: %s is not the name of a header", show(name))
    end
    local own = OWN_HEADERS[name:lower()]
    if own then
      misuse("headers: '%s' comes from the %s", name, own)
    end
    local values = headers[name]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      add_header(lines, name, check_line("headers." .. name, value))
    end
    seen[name:lower()] = true
  end
  return seen
end

local function idempotency_key(given)
  if given == true then
    return core.run.field("idempotency_key")
  end
  return check_line("idempotency_key", given)
end

local function make_headers(request, content_type)
  local lines = {}
  local seen = add_given_headers(lines, request.headers or {})
  if request.bearer then
    add_header(lines, "Authorization", "Bearer " .. check_line("bearer", request.bearer))
  end
  if request.idempotency_key then
    add_header(lines, "Idempotency-Key", idempotency_key(request.idempotency_key))
  end
  if not seen["user-agent"] then
    add_header(lines, "User-Agent", "jobq")
  end
  if not seen["content-type"] then
    lines[#lines + 1] = content_type == "" and "Content-Type:" or "Content-Type: " .. content_type
  end
  return lines
end

---- the rest ----

local function milliseconds(request, name, default)
  local seconds = request[name] or default
  if not (seconds > 0 and seconds <= 86400) then
    misuse("%s: '%s' is not from 0 to 86400 seconds", name, tostring(seconds))
  end
  return math.max(1, math.ceil(seconds * 1000))
end

local function bytes(request)
  local value = request.limit or (request.to_file and FILE_LIMIT or LIMIT)
  local limit = parse_bytes(value)
  if not limit or limit < 0 then
    misuse("limit: '%s' is not a number of bytes\nhint: write 1000000, 64K, 10M or 2G",
      tostring(value))
  end
  return limit
end

--- Only what is asked for anew without a second effect: a redirected POST is for the handler.
local function redirects(request, method)
  local may_follow = method == "GET" or method == "HEAD"
  local value = request.redirects or (may_follow and REDIRECTS or 0)
  if math.type(value) ~= "integer" or value < 0 or value > 100 then
    misuse("redirects: '%s' is not an integer from 0 to 100", tostring(value))
  end
  if value > 0 and not may_follow then
    misuse("redirects: a %s is not repeated elsewhere\nhint: reply.headers.location says where",
      method)
  end
  return value
end

local function check_method(request)
  local method = (request.method or "GET"):upper()
  if not method:find("^%u+$") or method == "CONNECT" or method == "TRACE" then
    misuse("method: %s is none that can be used", show(request.method))
  end
  return method
end

local function check_version(request)
  local http2 = request.http2
  if http2 ~= nil and http2 ~= true and not VERSIONS[http2] then
    misuse("http2: %s is not true, false or 'prior_knowledge'", show(http2))
  end
  return VERSIONS[http2] or 0
end

local function allows_private(request)
  if request.allow_private ~= nil then
    return request.allow_private
  end
  local value = settings.text("http.allow_private", "false")
  if value ~= "true" and value ~= "false" then
    error(("setting http.allow_private: '%s' is not true or false"):format(value), 0)
  end
  return value == "true"
end

--- What core.http.perform wants.
local function compose(request)
  check_types(request)
  local method = check_method(request)
  local body, content_type = make_body(request)
  local url = check_url(request)
  if method == "POST" and not body and not request.file then
    body = "" -- a POST says how long its body is, even if there is none
  end
  local exchange = {
    method = method, url = url, body = body, from_file = request.file, to_file = request.to_file,
    origin = method .. " " .. url:match("^%a+://[^/?#]*"):gsub("//.*@", "//"),
    headers = make_headers(request, content_type),
    limit = bytes(request), redirects = redirects(request, method),
    timeout_ms = milliseconds(request, "timeout", TIMEOUT),
    connect_timeout_ms = milliseconds(request, "connect_timeout", CONNECT_TIMEOUT),
    version = check_version(request), allow_private = allows_private(request),
    ca_file = request.ca_file or settings.text("http.ca_file", nil),
    proxy = settings.text("http.proxy", nil), no_proxy = settings.text("http.no_proxy", nil),
  }
  for _, name in ipairs { "cert_file", "key_file", "key_password", "password", "username" } do
    exchange[name] = request[name] and check_line(name, request[name])
  end
  return exchange
end

---- replies ----

--- Names in any case; a field that came several times is joined with commas, or all of them.
local function parse_headers(head)
  local lists = {}
  for name, value in head:gmatch("\n([^\r\n:]+):[ \t]*([^\r\n]*)") do
    local key = name:lower()
    lists[key] = lists[key] or {}
    table.insert(lists[key], (value:gsub("[ \t]+$", "")))
  end
  local function get(_, name)
    local list = lists[tostring(name):lower()]
    return list and table.concat(list, ", ")
  end
  local function all(_, name)
    local list = lists[name:lower()] or {}
    return table.move(list, 1, #list, 1, {})
  end
  return setmetatable({}, {
    __index = function(t, name) return name == "all" and all or get(t, name) end,
    __pairs = function(t)
      return function(_, last)
        local key = next(lists, last)
        return key, key and get(t, key)
      end
    end,
  })
end

local Reply = { __name = "jobq.http.reply" }
Reply.__index = Reply

--- The body as a value; nil, message, "json_invalid" when it is no JSON.
function Reply:json()
  return core.json.decode(self.body or "")
end

local function perform(request, level)
  local ok, exchange = pcall(compose, request)
  if not ok then
    if refusal.is(exchange) then
      return nil, exchange.message, exchange.code
    end
    error(type(exchange) == "string" and "jobq.http: " .. exchange or exchange, level + 1)
  end
  local status, head, body, url, seconds, size, version = core.http.perform(exchange)
  if not status then
    return nil, head, body -- message, code
  end
  return setmetatable({
    status = status, ok = status >= 200 and status < 300, headers = parse_headers(head),
    body = body, file = not body and exchange.to_file or nil, size = size, url = url,
    seconds = seconds, version = version,
  }, Reply)
end

--- One request; any status is a reply. nil, message, code when there is none.
function M.request(options)
  if type(options) ~= "table" then
    error(("jobq.http.request: expected a table of options, got %s"):format(show(options)), 2)
  end
  local reply, message, code = perform(options, 2)
  return reply, message, code
end

local function short_form(method)
  return function(url, options)
    if options ~= nil and type(options) ~= "table" then
      error(("jobq.http.%s: expected a table of options, got %s"):format(
        method, show(options)), 2)
    end
    local request = { url = url, method = method:upper() }
    for name, value in pairs(options or {}) do
      if name == "url" or name == "method" then
        error(("jobq.http.%s: unknown option '%s'"):format(method, name), 2)
      end
      request[name] = value
    end
    local reply, message, code = perform(request, 2)
    return reply, message, code
  end
end

for _, method in ipairs { "delete", "get", "head", "patch", "post", "put" } do
  M[method] = short_form(method)
end

return strict.close("jobq.http", M)
