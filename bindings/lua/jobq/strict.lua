--- Tables whose fields are known: another name is a mistake, and says so at once.
local nearest = require "jobq.nearest"

local M = {}

--- What to say of a name that is none of names; otherwise: a hint where no other one is near.
function M.unknown(path, key, names, otherwise)
  local hint = nearest.hint(key, names)
  if hint == "" and otherwise then
    hint = "\nhint: " .. otherwise
  end
  return ("%s has no field '%s'%s"):format(path, tostring(key), hint)
end

--- A __newindex that raises.
function M.refuse(path)
  return function(_, key)
    error(("%s is read-only: '%s' cannot be set"):format(path, tostring(key)), 2)
  end
end

--- Reading an unknown field and writing any field of `fields` raise. Messages call it `name`.
---@param name string
---@param fields table
---@return table fields
function M.close(name, fields)
  return setmetatable(fields, {
    knows = function(key) return rawget(fields, key) ~= nil end,
    __index = function(_, key)
      error(M.unknown(name, key, fields), 2)
    end,
    __newindex = M.refuse(name),
  })
end

--- For a table that is closed in this way: what says whether it has a name; else nil.
---@param t any
---@return (fun(key: any): boolean)?
---@return string? otherwise
function M.knows(t)
  local meta = type(t) == "table" and getmetatable(t)
  if type(meta) == "table" then
    return meta.knows, meta.otherwise
  end
end

return M
