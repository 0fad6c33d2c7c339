--- The statements that settings of the group email hold.
local jobq = require "jobq"
local statement = require "lib.statement"

--- Rows; or nil, message, code. runner: a transaction, default jobq.sql.
return function(name, runner, ...)
  local function query(...)
    return runner:query(...)
  end
  return statement.ask(runner and query or jobq.sql.query, "email." .. name, ...)
end
