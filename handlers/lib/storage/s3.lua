--- Storage in a bucket of S3, or of what speaks like it. lib/storage says what each function does.
local jobq = require "jobq"
local name_of = require "lib.storage.name"
local sign = require "lib.storage.sign"

local EMPTY = jobq.crypto.hash("sha256", "", "hex")
local KEY_HINT = "\nhint: the settings s3.access_key, s3.secret_key and s3.region"
local TIMEOUT = 6 * 3600 -- seconds: the run's own timeout is the one that counts

local Bucket = {}
Bucket.__index = Bucket

local function account_of(settings)
  local secret = settings.secret_key
  return {
    key = settings.access_key, secret = secret and secret:reveal() or "", region = settings.region,
    token = settings.session_token and settings.session_token:reveal(),
  }
end

local function check(settings)
  for _, name in ipairs { "url", "bucket", "access_key", "secret_key" } do
    if settings[name] == nil then
      error(("setting s3.%s is not there, file.storage = s3 needs it"):format(name), 0)
    end
  end
end

local function open(settings)
  local place = ("%s/%s/"):format(settings.url:gsub("/+$", ""), settings.bucket)
  return setmetatable(
    { place = place, account = account_of(settings), bucket = settings.bucket }, Bucket)
end

--- What the server says in its XML, in words.
local function explain(reply, name)
  if reply.status == 404 then
    return nil, name .. ": no such object in the bucket", "ENOENT"
  end
  local body = reply.body or ""
  local code, why = body:match("<Code>(.-)</Code>"), body:match("<Message>(.-)</Message>")
  local said = code and (" %s: %s"):format(code, why or "") or ""
  local hint = reply.status == 403 and KEY_HINT or ""
  return nil, ("%s: s3 says %d%s%s"):format(name, reply.status, said, hint), "http_" .. reply.status
end

local function send(self, method, name, options)
  local fine, problem, kind = name_of.check(name)
  if not fine then
    return nil, problem, kind
  end
  local url = self.place .. sign.escape_path(name)
  local headers = sign.headers(
    { method = method, url = url, hash = options.hash or EMPTY, headers = options.signed },
    self.account, os.time())
  headers["content-type"] = options.type
  local reply, why, code = jobq.http.request {
    method = method, url = url, headers = headers, file = options.file, to_file = options.to_file,
    limit = options.limit, timeout = TIMEOUT, redirects = 0, allow_private = true, -- from settings
  }
  if not reply then
    return nil, why, code
  elseif not reply.ok or (reply.body or ""):find("<Error>", 1, true) then
    return explain(reply, name) -- a copy may fail after its 200
  end
  return reply
end

function Bucket:stat(name)
  local reply, why, code = send(self, "HEAD", name, {})
  if not reply then
    return nil, why, code
  end
  return { size = math.tointeger(tonumber(reply.headers["content-length"])), type = "file" }
end

function Bucket:fetch(name, scratch)
  local folder, why, code = scratch:folder()
  if not folder then
    return nil, why, code
  end
  local path = folder .. "/fetched"
  local reply
  reply, why, code =
    send(self, "GET", name, { to_file = path, limit = jobq.config.file.max_bytes })
  return reply and path, why, code
end

--- The hash is of what is there, so whoever changes a byte on the way is found out.
function Bucket:put(from, name, type)
  local hash, why, code = jobq.crypto.hash_file("sha256", from, "hex")
  if not hash then
    return nil, why, code
  end
  local reply
  reply, why, code = send(self, "PUT", name, { file = from, hash = hash, type = type })
  return reply and true, why, code
end

function Bucket:make(name, scratch, make)
  local folder, why, code = scratch:folder()
  local path, made, put = (folder or "") .. "/made", nil, nil
  if folder then
    made, why, code = make(path)
  end
  if made then
    put, why, code = self:put(path, name)
  end
  return put and made, why, code
end

function Bucket:move(from, to)
  local source = ("/%s/%s"):format(self.bucket, sign.escape_path(from))
  local copied, why, code = send(self, "PUT", to, { signed = { ["x-amz-copy-source"] = source } })
  if code == "ENOENT" and self:stat(to) then
    return true -- a run before has done it
  elseif not copied then
    return nil, why, code
  end
  return self:remove(from)
end

function Bucket:remove(name)
  local reply, why, code = send(self, "DELETE", name, {})
  return (reply or code == "ENOENT") and true, why, code
end

return { check = check, open = open }
