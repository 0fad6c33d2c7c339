--- Which failures another attempt could mend.
local jobq = require "jobq"

local PERMANENT = {
  bad_mail = true, bad_setting = true, bad_template = true, bad_token = true,
  outside = true, ENOENT = true,
}

local function is_permanent(code)
  return PERMANENT[code] or jobq.smtp.is_permanent(code)
    or tostring(code):find("^42%w%w%w$") ~= nil -- SQLSTATE: no such table, no right to it
end

--- What run returns for nil, message, code.
return function(why, code)
  if is_permanent(code) then
    return jobq.discard(why)
  end
  return nil, why, code -- a server that is busy or away: tried again later
end
