--- What may be wrong with the arguments of a job is answered with nil, message, code: it leaves the
--- functions that look at them as an error that is told from mistakes of the caller.
local M = {}

local Refusal = {}

function M.refuse(code, text, ...)
  error(setmetatable({ message = text:format(...), code = code }, Refusal), 0)
end

--- Is it something to answer, rather than a mistake of the caller?
function M.is(value)
  return getmetatable(value) == Refusal
end

--- A value as messages name it.
function M.show(value)
  return type(value) == "string" and ("'%s'"):format(value:gsub("%c", "?")) or "a " .. type(value)
end

return M
