--- jobq.crypto: what C gives, with options as tables and keys as objects.
local core = require "jobq.core"
local checked = require "jobq.options"
local strict = require "jobq.strict"

local primitive = core.crypto

local M = {
  decode = primitive.decode,
  encode = primitive.encode,
  equal = primitive.equal,
  hash = primitive.hash,
  hasher = primitive.hasher,
  hmac = primitive.hmac,
  random = primitive.random,
  uuid = primitive.uuid,
}

-- ---- keys ----

--- An object of the API: key.type, key.is_private and methods. What C knows as a key is behind it.
local Key = { __name = "jobq.key", __metatable = false }
Key.__index = Key
local handles = setmetatable({}, { __mode = "k" })

local function wrap(handle, message, code)
  if not handle then
    return nil, message, code
  end
  local type_name, is_private = primitive.key_type(handle)
  local key = setmetatable({ type = type_name, is_private = is_private }, Key)
  handles[key] = handle
  return key
end

local function handle_of(where, key)
  local handle = handles[key]
  if not handle then
    checked.misuse("%s: expected a key, got %s", where, checked.show(key))
  end
  return handle
end

local JWK_CURVES = { Ed25519 = "ed25519", X25519 = "x25519", ["P-256"] = "p256" }
local JWK_NAMES = {
  ed25519 = { "OKP", "Ed25519" }, x25519 = { "OKP", "X25519" }, p256 = { "EC", "P-256" },
}

local function base64url(bytes)
  return M.encode(bytes, "base64url")
end

function Key:public()
  return wrap(primitive.key_public(handle_of("key:public", self)))
end

function Key:pem()
  return primitive.key_pem(handle_of("key:pem", self))
end

function Key:raw()
  return primitive.key_raw(handle_of("key:raw", self))
end

--- RFC 7517 and 8037, as a table.
function Key:jwk()
  local names = JWK_NAMES[handle_of("key:jwk", self) and self.type]
  if not names then
    checked.misuse("key:jwk: %s keys have none\nhint: use key:pem()", self.type)
  end
  local public = self:public():raw()
  local jwk = { kty = names[1], crv = names[2] }
  if self.type == "p256" then
    jwk.x, jwk.y = base64url(public:sub(2, 33)), base64url(public:sub(34, 65))
  else
    jwk.x = base64url(public)
  end
  jwk.d = self.is_private and base64url(self:raw()) or nil
  return jwk
end

--- The bytes of these members, one after the other; nil if one is no base64url text.
local function members(jwk, ...)
  local bytes = ""
  for _, name in ipairs { ... } do
    local member = type(jwk[name]) == "string" and M.decode(jwk[name], "base64url")
    if not member then
      return nil
    end
    bytes = bytes .. member
  end
  return bytes
end

--- private is "" for a public key.
local function load_halves(type_name, public, private)
  if private == "" then
    return wrap(primitive.load_raw(type_name, public, false))
  end
  local key, message, code = wrap(primitive.load_raw(type_name, private, true))
  if key and key:public():raw() ~= public then
    return nil, "jwk: x and y do not belong to d", "bad_key"
  end
  return key, message, code
end

local function from_jwk(jwk)
  local type_name = JWK_CURVES[jwk.crv]
  if not type_name then
    return nil, ("jwk: the crv %s is not Ed25519, X25519 or P-256"):format(checked.show(jwk.crv)),
      "bad_key"
  end
  local names = type_name == "p256" and { "x", "y" } or { "x" }
  local public = members(jwk, table.unpack(names))
  local d = members(jwk, jwk.d ~= nil and "d" or nil)
  if not public or not d then
    return nil, "jwk: x, y and d are base64url texts", "bad_key"
  end
  return load_halves(type_name, type_name == "p256" and "\4" .. public or public, d)
end

local RAW = { private = "string", public = "string", type = { "ed25519", "p256", "x25519" } }

local function from_raw(source)
  checked.check("jobq.crypto.key", source, RAW)
  if not source.type or (source.private == nil) == (source.public == nil) then
    checked.misuse "jobq.crypto.key: expected type, and private or public"
  end
  return wrap(primitive.load_raw(source.type, source.private or source.public, not source.public))
end

--- A key from a PEM text, a JWK, or { type, private } or { type, public } with the bytes.
function M.key(source, options)
  options = checked.check("jobq.crypto.key", options, { password = "string" })
  if type(source) == "string" then
    return wrap(primitive.load_pem(source, options.password))
  elseif type(source) ~= "table" then
    local text = "jobq.crypto.key: expected a PEM text or a table, got %s"
    checked.misuse(text, checked.show(source))
  end
  if source.kty ~= nil then
    return from_jwk(source)
  end
  return from_raw(source)
end

--- A new private key.
function M.generate_key(type_name, options)
  options = checked.check("jobq.crypto.generate_key", options, { bits = "count" })
  return wrap(primitive.generate(type_name, options.bits))
end

-- ---- what is done with them ----

local SIGN = { encoding = { "base64", "base64url", "hex" }, format = { "der", "raw" } }
local VERIFY = { format = { "der", "raw" } }

function M.sign(key, text, options)
  options = checked.check("jobq.crypto.sign", options, SIGN)
  local handle = handle_of("jobq.crypto.sign", key)
  return primitive.sign(handle, text, options.format == "der", options.encoding)
end

function M.verify(key, text, signature, options)
  options = checked.check("jobq.crypto.verify", options, VERIFY)
  local handle = handle_of("jobq.crypto.verify", key)
  return primitive.verify(handle, text, signature, options.format == "der")
end

function M.agree(private, public)
  local own = handle_of("jobq.crypto.agree", private)
  return primitive.agree(own, handle_of("jobq.crypto.agree", public))
end

local HKDF = { info = "string", length = "count", salt = "string" }
local SEAL = { aad = "string", nonce = "string" }

function M.hkdf(name, secret, options)
  options = checked.check("jobq.crypto.hkdf", options, HKDF)
  local length = options.length or 32
  return primitive.hkdf(name, secret, options.salt or "", options.info or "", length)
end

function M.encrypt(key, text, options)
  options = checked.check("jobq.crypto.encrypt", options, SEAL)
  return primitive.seal(key, text, options.aad or "", options.nonce)
end

function M.decrypt(key, box, options)
  options = checked.check("jobq.crypto.decrypt", options, SEAL)
  return primitive.open(key, box, options.aad or "", options.nonce)
end

function M.hash_file(name, path, encoding)
  if encoding ~= nil then
    M.encode("", encoding) -- a mistake is said before the work
  end
  local digest, message, code = primitive.hash_file(name, path)
  if digest and encoding then
    return M.encode(digest, encoding)
  end
  return digest, message, code
end

return strict.close("jobq.crypto", M)
