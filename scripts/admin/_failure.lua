--- Expected failures: raised anywhere, told in one line by _program.lua, each with an exit status.
local M = {}

--- Fixed: other programs and systemd units go by them.
M.EXIT = {
  failed = 1,
  usage = 2,
  not_found = 3,
  no_database = 4,
  refused = 5,
  problems = 6,
  schema = 7,
}

M.INTERRUPTED = 130

local Failure = {
  __name = "jobq.failure",
  __tostring = function(failure)
    return failure.message
  end,
}

---@param code string a key of EXIT
---@param message string lower case, no full stop, names the value
---@param hint? string
---@param detail? string for --verbose
function M.raise(code, message, hint, detail)
  assert(M.EXIT[code], code)
  error(setmetatable({ code = code, message = message, hint = hint, detail = detail }, Failure), 0)
end

function M.is(value)
  return getmetatable(value) == Failure
end

return M
