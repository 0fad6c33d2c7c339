--- need(value, why, code): the value. Without one the run ends here, for good where another attempt
--- could not help, else it is tried again.
local jobq = require "jobq"

local PERMANENT = {
  EISDIR = true, ENAMETOOLONG = true, ENOENT = true, ENOTDIR = true, http_403 = true,
  outside = true,
}

return function(value, why, code)
  if not value then
    error(PERMANENT[code] and jobq.discard(why) or jobq.retry(why))
  end
  return value
end
