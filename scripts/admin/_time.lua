--- Durations as people write and read them. Points in time are the database's: SQL formats them.
local M = {}

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }

--- "500ms", "10s", "5m", "2h", "7d" or plain seconds, as seconds.
---@return number? seconds, string? message
function M.parse(text)
  local number, unit = text:match "^(%d+%.?%d*)(%a*)$"
  local factor = UNITS[unit == "" and "s" or unit or "?"]
  if not number or not factor then
    return nil, ("'%s' is not a duration"):format(text), "write 500ms, 10s, 5m, 2h or 7d"
  end
  return tonumber(number) * factor
end

local STEPS = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } }

--- "3m", "12s", "40 ms" for what is shorter than a second.
function M.span(seconds)
  if seconds < 0 then
    seconds = 0
  end
  for _, step in ipairs(STEPS) do
    if seconds >= step[1] then
      return ("%d%s"):format(math.floor(seconds / step[1]), step[2])
    end
  end
  return ("%d ms"):format(math.floor(seconds * 1000))
end

--- "3m ago" or "in 3m", of a number of seconds since.
function M.ago(seconds)
  if seconds < 0 then
    return "in " .. M.span(-seconds)
  end
  return seconds < 1 and "now" or M.span(seconds) .. " ago"
end

return M
