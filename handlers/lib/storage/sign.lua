--- Signature Version 4 of AWS, for S3: the header fields that a request has to carry.
--- https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
local crypto = require("jobq").crypto

local M = {}

local ALGORITHM = "AWS4-HMAC-SHA256"

local function escape_byte(c)
  return ("%%%02X"):format(c:byte())
end

--- Each byte but letters, digits, - . _ ~ and the slash.
function M.escape_path(path)
  return (path:gsub("[^%w%-._~/]", escape_byte))
end

local function canonical_query(query)
  local fields = {}
  for field in query:gmatch("[^&]+") do
    fields[#fields + 1] = field:find("=", 1, true) and field or field .. "="
  end
  table.sort(fields)
  return table.concat(fields, "&")
end

--- The lines of the header, and the names in it.
local function canonical_headers(headers)
  local names, lines = {}, {}
  for name in pairs(headers) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    lines[i] = ("%s:%s\n"):format(name, headers[name]:match("^%s*(.-)%s*$"))
  end
  return table.concat(lines), table.concat(names, ";")
end

--- As in the header Host: without the port that goes without saying.
local function split(url)
  local scheme, host, rest = url:match("^(%a+)://([^/?]*)(.*)$")
  local path, query = rest:match("^([^?]*)%??(.*)$")
  host = scheme == "https" and host:gsub(":443$", "") or scheme == "http" and host:gsub(":80$", "")
    or host
  return host, path == "" and "/" or path, query
end

local function signing_key(account, date)
  local key = "AWS4" .. account.secret
  for _, part in ipairs { date, account.region, "s3", "aws4_request" } do
    key = crypto.hmac("sha256", key, part)
  end
  return key
end

local function canonical_request(request, headers)
  local host, path, query = split(request.url)
  headers.host = host
  local lines, names = canonical_headers(headers)
  headers.host = nil -- the request makes its own
  return table.concat(
    { request.method, path, canonical_query(query), lines, names, request.hash }, "\n"), names
end

--- request: method, url, hash (SHA-256 of the body, hex), headers (names in lower case). account:
--- key, secret, region, token. Gives those headers and the ones that sign them.
---@param now integer Unix seconds
---@return table<string, string>
function M.headers(request, account, now)
  local time = os.date("!%Y%m%dT%H%M%SZ", now)
  local headers = {
    ["x-amz-content-sha256"] = request.hash, ["x-amz-date"] = time,
    ["x-amz-security-token"] = account.token,
  }
  for name, value in pairs(request.headers or {}) do
    headers[name] = value
  end
  local text, names = canonical_request(request, headers)
  local scope = ("%s/%s/s3/aws4_request"):format(time:sub(1, 8), account.region)
  local to_sign = table.concat({ ALGORITHM, time, scope, crypto.hash("sha256", text, "hex") }, "\n")
  local signature = crypto.hmac("sha256", signing_key(account, time:sub(1, 8)), to_sign, "hex")
  headers.authorization = ("%s Credential=%s/%s,SignedHeaders=%s,Signature=%s"):format(
    ALGORITHM, account.key, scope, names, signature)
  return headers
end

return M
