--- Tables whose fields are known: another name is a mistake, and says so at once.
local nearest = require "jobq.nearest"

local M = {}

--- Reading an unknown field and writing any field of `fields` raise. Messages call it `name`.
---@param name string
---@param fields table
---@return table fields
function M.close(name, fields)
  return setmetatable(fields, {
    __index = function(_, key)
      local text = "%s has no field '%s'%s"
      error(text:format(name, tostring(key), nearest.hint(key, fields)), 2)
    end,
    __newindex = function(_, key)
      error(("%s is read-only: '%s' cannot be set"):format(name, tostring(key)), 2)
    end,
  })
end

return M
