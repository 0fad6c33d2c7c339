--- What is wrong with a mail. What the caller should have known raises; what may come from a job's
--- arguments is answered with nil, message, code. Both leave the composing functions as an error.
local refusal = require "jobq.refusal"

local M = { refuse = refusal.refuse, is = refusal.is, show = refusal.show }

function M.misuse(text, ...)
  error(("jobq.smtp.send: " .. text):format(...), 0)
end

--- A text without line ends and other control characters: they would start a header of their own.
function M.check_line(code, name, value)
  if type(value) ~= "string" then
    M.refuse(code, "%s: expected a text, got %s", name, M.show(value))
  end
  if value:find("%c") then
    M.refuse(code, "%s: %s contains control characters", name, M.show(value))
  end
  return value
end

return M
