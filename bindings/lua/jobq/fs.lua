--- jobq.fs: files. All but walk is in C (bindings/fs.c).
local core = require "jobq.core"
local database = require "jobq.database"
local strict = require "jobq.strict"

local M = {}

for name, f in pairs(core.fs) do
  M[name] = f
end

--- Codes of a folder that has gone, or is none any more, since its name was read.
local GONE = { ENOENT = true, ENOTDIR = true, ELOOP = true }

local function join(folder, name)
  return folder == "." and name or folder .. "/" .. name
end

local visit

--- true; false when f has ended it; or nil, message, code.
local function visit_folder(root, folder, f)
  local entries, message, code = core.fs.entries(root, folder)
  if not entries then
    if folder ~= "." and GONE[code] then
      return true
    end
    return nil, message, code
  end
  for _, entry in ipairs(entries) do
    entry.path = join(folder, entry.name)
    local goes_on, why, reason = visit(root, entry, f)
    if not goes_on then
      return goes_on, why, reason
    end
  end
  return true
end

function visit(root, entry, f)
  if entry.type == "dir" then
    local goes_on, message, code = visit_folder(root, entry.path, f)
    if not goes_on then
      return goes_on, message, code
    end
  end
  return f(entry) ~= false
end

function M.walk(root, f)
  if type(root) ~= "string" then
    error(("jobq.fs.walk: expected a folder, got %s"):format(database.show(root)), 2)
  elseif type(f) ~= "function" then
    error(("jobq.fs.walk: expected a function, got %s"):format(database.show(f)), 2)
  end
  local count = 0
  local goes_on, message, code = visit_folder(root, ".", function(entry)
    count = count + 1
    return f(entry)
  end)
  if goes_on == nil then
    return nil, message, code
  end
  return count
end

return strict.close("jobq.fs", M)
