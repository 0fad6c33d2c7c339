--- The statements that settings of the group notification hold.
local jobq = require "jobq"

--- Rows; or nil, message, code.
return function(name, ...)
  local rows, why, code = jobq.sql.query(jobq.config("notification." .. name), ...)
  if rows then
    return rows
  end
  return nil, ("setting notification.%s: %s\nhint: jobq config handlers shows the statement")
    :format(name, why), code
end
