--- Storage in a local folder. lib/storage says what each function does.
local jobq = require "jobq"
local name_of = require "lib.storage.name"

local fs = jobq.fs

local Folder = {}
Folder.__index = Folder

local function open(root)
  return setmetatable({ root = root }, Folder)
end

--- Where it is; its folder has to be there.
local function path_of(self, name)
  local fine, why, code = name_of.check(name)
  if not fine then
    return nil, why, code
  end
  return fs.below(self.root, name)
end

--- One by one: a link that leads out of the root is found before it is used.
local function make_folders(self, name)
  local fine, why, code = name_of.check(name)
  for stop in name:gmatch("()/") do
    local path
    if fine then
      path, why, code = fs.below(self.root, name:sub(1, stop - 1))
      fine = path
    end
    if path then
      fine, why, code = fs.make_dir(path)
    end
  end
  return fine, why, code
end

--- Where it is to be.
local function place(self, name)
  local fine, why, code = make_folders(self, name)
  if not fine then
    return nil, why, code
  end
  return fs.below(self.root, name)
end

function Folder:stat(name)
  local path, why, code = path_of(self, name)
  if not path then
    return nil, why, code
  end
  return fs.stat(path)
end

--- No copy: the file itself.
function Folder:fetch(name)
  return path_of(self, name)
end

function Folder:make(name, _, make)
  local path, why, code = place(self, name)
  if not path then
    return nil, why, code
  end
  return make(path)
end

function Folder:put(from, name)
  return self:make(name, nil, function(path) return fs.copy(from, path) end)
end

function Folder:move(from, to)
  local source, why, code = path_of(self, from)
  if not source then
    return nil, why, code
  end
  return self:make(to, nil, function(target)
    if not fs.exists(source) and fs.exists(target) then
      return true -- a run before has done it
    end
    return fs.rename(source, target)
  end)
end

function Folder:remove(name)
  local path, why, code = path_of(self, name)
  if not path then
    return nil, why, code
  end
  return fs.remove(path)
end

return { open = open }
