--- Before many things change: a question whose default is no.
local failure = require "_failure"

local M = {}

local MANY = 1000

-- Whether the answer at the terminal is yes; past MANY it has to be the number.
local function ask(doing, n)
  local wanted = n > MANY and tostring(n) or "y"
  local prompt = n > MANY and "type the number to go on" or "[y/N]"
  io.stderr:write(("%s? %s "):format(doing, prompt))
  local answer = (io.read "l" or ""):lower():match "^%s*(.-)%s*$"
  return answer == wanted or (wanted == "y" and answer == "yes")
end

--- doing: "retry 28 jobs"; gerund: "retrying 28 jobs". Raises unless it may be done.
function M.check(context, n, doing, gerund)
  if context.options.yes then
    return
  elseif not context:can_ask() then
    failure.raise("refused",
      ("%s needs confirmation and %s"):format(gerund,
        context.options.no_input and "--no-input is given" or "stdin is not a terminal"),
      "pass --yes, or --dry-run to see them")
  elseif not ask(doing, n) then
    failure.raise("refused", "nothing was changed")
  end
end

return M
