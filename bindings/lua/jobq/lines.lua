--- Lua files as lines: tables do not know where they were written.
local M = {}

---@param text string
---@return string[]
function M.split(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    lines[#lines + 1] = line
  end
  return lines
end

--- The line of `name =` in them, from line `from` on.
---@param lines string[]
---@param name any
---@param from integer
---@return integer?
function M.key(lines, name, from)
  local escaped = tostring(name):gsub("%W", "%%%0")
  local plain = "%f[%w_]" .. escaped .. "%f[^%w_]%s*=[^=]"
  local quoted = "%[%s*[\"']" .. escaped .. "[\"']%s*%]%s*="
  for i = from, #lines do
    local code = (lines[i] .. " "):gsub("%-%-.*", " ")
    if code:find(plain) or code:find(quoted) then
      return i
    end
  end
  return nil
end

return M
