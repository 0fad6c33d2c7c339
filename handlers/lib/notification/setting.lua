--- Settings without a default, which only some channels need.
local jobq = require "jobq"

--- Its text; or nil, message, code.
return function(name)
  local value = jobq.config("notification." .. name, nil)
  if value == nil then
    return nil, ("setting notification.%s is not there\nhint: docs/how-to/notify.md says what "
      .. "each channel needs"):format(name), "bad_setting"
  end
  return type(value) == "string" and value or value:reveal()
end
