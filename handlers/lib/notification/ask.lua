--- The statements that settings of the group notification hold.
local jobq = require "jobq"
local statement = require "lib.statement"

--- Rows; or nil, message, code.
return function(name, ...)
  return statement.ask(jobq.sql.query, "notification." .. name, ...)
end
