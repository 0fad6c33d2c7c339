--- Message encryption for Web Push: RFC 8291, one record of aes128gcm (RFC 8188).
local jobq = require "jobq"

local crypto = jobq.crypto

local M = {}

local RECORD = 4096
local HEADER, END, TAG = 16 + 4 + 1 + 65, 1, 16

--- Bytes of a text that push services must take, RFC 8291, section 4.
M.LIMIT = RECORD - HEADER - END - TAG

local function bytes(text, size)
  local decoded = type(text) == "string" and crypto.decode((text:gsub("=+$", "")), "base64url")
  return decoded and #decoded == size and decoded or nil
end

--- The browser's public key and its secret; or nil, message, code.
local function receiver(keys)
  local p256dh, auth = bytes(keys.p256dh, 65), bytes(keys.auth, 16)
  local key = p256dh and crypto.key { type = "p256", public = p256dh }
  if not key or not auth then
    return nil, "the subscription's keys p256dh and auth are none of web push", "bad_subscription"
  end
  return key, auth
end

--- The keying material of RFC 8291, section 3.4.
local function material(own, other, auth)
  local shared, why, code = crypto.agree(own, other)
  if not shared then
    return nil, why, code
  end
  local info = "WebPush: info\0" .. other:raw() .. own:public():raw()
  return crypto.hkdf("sha256", shared, { salt = auth, info = info })
end

local function derive(secret, salt, what, length)
  local info = ("Content-Encoding: %s\0"):format(what)
  return crypto.hkdf("sha256", secret, { salt = salt, info = info, length = length })
end

--- The body for a text; or nil, message, code. own and salt: a key and 16 bytes, of this body only.
function M.seal(text, keys, own, salt)
  local other, auth, code = receiver(keys)
  if not other then
    return nil, auth, code
  end
  local secret, why, why_code = material(own, other, auth)
  if not secret then
    return nil, why, why_code
  end
  local nonce = derive(secret, salt, "nonce", 12)
  local box = crypto.encrypt(derive(secret, salt, "aes128gcm", 16), text .. "\2", { nonce = nonce })
  return string.pack(">c16I4s1", salt, RECORD, own:public():raw()) .. box
end

return M
