--- spec/unit/smtp_server.py in a spec.
--
--     local server = smtp_server.start("--login", "app", "secret")
--     server.port
--     server:next()               waits for a mail
--     server:count()              mails that nobody has asked for yet
local teller = require "support.teller"

local M = {}

local Server = teller.class "the smtp server"

function M.start(...)
  local self = teller.start(Server, { "/usr/bin/python3", "spec/unit/smtp_server.py", ... })
  self.port = math.tointeger(self:next().port)
  return self
end

return M
