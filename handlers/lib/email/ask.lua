--- The statements that settings of the group email hold.
local jobq = require "jobq"

--- Rows; or nil, message, code. runner: a transaction, default jobq.sql.
return function(name, runner, ...)
  local statement = jobq.config("email." .. name)
  local rows, why, code
  if runner then
    rows, why, code = runner:query(statement, ...)
  else
    rows, why, code = jobq.sql.query(statement, ...)
  end
  if rows then
    return rows
  end
  return nil, ("setting email.%s: %s\nhint: jobq config handlers shows the statement"):format(
    name, why), code
end
