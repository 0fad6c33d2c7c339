--- What is wrong with a mail. What the caller should have known raises; what may come from a job's
--- arguments is answered with nil, message, code. Both leave the composing functions as an error.
local M = {}

local Refusal = {}

function M.refuse(code, text, ...)
  error(setmetatable({ message = text:format(...), code = code }, Refusal), 0)
end

function M.misuse(text, ...)
  error(("jobq.smtp.send: " .. text):format(...), 0)
end

--- Is it something to answer, rather than a mistake of the caller?
function M.is(value)
  return getmetatable(value) == Refusal
end

function M.show(value)
  return type(value) == "string" and ("'%s'"):format(value:gsub("%c", "?")) or "a " .. type(value)
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
