--- Names of stored things, as "uploads/ann/photo.jpg": those of arguments lead nowhere else.
local M = {}

--- Where runs keep what is not finished; below the root, so that it is on the same disk.
M.SCRATCH = ".scratch"

local function is_sound(part)
  return part ~= "" and part ~= "." and part ~= ".."
end

--- true; or nil, why, "outside".
---@param name string
function M.check(name)
  local fine = not name:find("%c") and name:match("^[^/]*") ~= M.SCRATCH
  for part in (name .. "/"):gmatch("([^/]*)/") do
    fine = fine and is_sound(part)
  end
  if fine then
    return true
  end
  return nil, ("'%s' is no path below the root\nhint: names with one / between them, and no '..'")
    :format(name:gsub("%c", "?")), "outside"
end

return M
