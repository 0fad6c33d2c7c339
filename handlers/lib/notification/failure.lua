--- Which failures another attempt could mend.
local jobq = require "jobq"

local M = {}

local PERMANENT = {
  bad_note = true, bad_setting = true, bad_subscription = true, bad_url = true,
  private_address = true, too_large = true,
}
local PASSING = { http_408 = true, http_425 = true, http_429 = true }

function M.is_permanent(code)
  local text = tostring(code)
  return PERMANENT[code] or text:find "^http_4%d%d$" ~= nil and not PASSING[code]
    or text:find "^42%w%w%w$" ~= nil -- SQLSTATE: no such table, no right to it
end

--- What run returns for nil, message, code; seconds: when it may be tried again, if anybody said.
function M.verdict(why, code, seconds)
  if M.is_permanent(code) then
    return jobq.discard(why)
  elseif seconds then
    return jobq.retry(why, seconds)
  end
  return nil, why, code -- a service that is busy or away
end

return M
