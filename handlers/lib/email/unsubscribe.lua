--- The link that ends a subscription with one click (RFC 8058). Nobody can make one of others.
---
---   URL?token=PAYLOAD.SIGNATURE
---   PAYLOAD      base64url of "LIST\nADDRESS"
---   SIGNATURE    base64url of the HMAC-SHA-256 of "unsubscribe\nPAYLOAD"
local jobq = require "jobq"

local M = {}

local function signature(payload)
  local key = jobq.config("email.unsubscribe_key"):reveal()
  return jobq.crypto.hmac("sha256", key, "unsubscribe\n" .. payload, "base64url")
end

function M.token(list, address)
  local payload = jobq.crypto.encode(list .. "\n" .. address, "base64url")
  return payload .. "." .. signature(payload)
end

--- List and address of a token; or nil, message, code.
function M.open(token)
  local payload, given = token:match("^([%w_-]+)%.([%w_-]+)$")
  if not payload or not jobq.crypto.equal(given, signature(payload)) then
    return nil, "the token is none of ours", "bad_token"
  end
  return jobq.crypto.decode(payload, "base64url"):match("^(.-)\n(.*)$")
end

--- The link; or nil, message, code.
function M.link(list, address)
  local url = jobq.config("email.unsubscribe_url", nil)
  if not url or not jobq.config("email.unsubscribe_key", nil) then
    return nil, ("a mail of list '%s' needs a link to unsubscribe\n"
      .. "hint: set email.unsubscribe_url and email.unsubscribe_key"):format(list), "bad_setting"
  elseif not url:find("^https://") then
    return nil, ("email.unsubscribe_url: '%s' does not begin with https://"):format(url),
      "bad_setting"
  end
  return url .. (url:find("?", 1, true) and "&" or "?") .. "token=" .. M.token(list, address)
end

--- What programs of readers look for, to show a button.
function M.headers(link)
  return {
    ["List-Unsubscribe"] = "<" .. link .. ">",
    ["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click",
  }
end

return M
