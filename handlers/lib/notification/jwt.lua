--- JSON Web Tokens (RFC 7519), and those that services want to see more than once.
local jobq = require "jobq"

local crypto, json = jobq.crypto, jobq.json

local M = {}

local ALGORITHMS = { p256 = "ES256", rsa = "RS256" }

local function part(value)
  return crypto.encode(json.encode(value), "base64url")
end

--- header: fields besides alg and typ.
function M.sign(key, claims, header)
  local fields = { alg = ALGORITHMS[key.type], typ = "JWT" }
  for name, value in pairs(header or {}) do
    fields[name] = value
  end
  local text = part(fields) .. "." .. part(claims)
  return text .. "." .. crypto.sign(key, text, { encoding = "base64url" })
end

local kept = {} -- of this executor, by name

--- The token of that name. make() gives a new one and for how many seconds it is good; or nil,
--- message, code.
function M.keep(name, make)
  local token = kept[name]
  if token and os.time() < token.good_until then
    return token.text
  end
  local text, seconds, code = make()
  if not text then
    return nil, seconds, code
  end
  kept[name] = { text = text, good_until = os.time() + seconds }
  return text
end

--- Somebody has refused it.
function M.forget(name)
  kept[name] = nil
end

return M
