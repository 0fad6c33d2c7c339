--- A stored file in the hands of a run: a local file once it is needed, and a scratch folder.
---
---   local file <close> = stored.new(job, "uploads/ann/photo.jpg")
local jobq = require "jobq"
local scratch = require "lib.file.scratch"
local storage = require "lib.storage"

local M = {}

local Stored = {}
Stored.__index = Stored

function M.new(job, name)
  return setmetatable({ name = name, storage = storage.open(), scratch = scratch.new(job) }, Stored)
end

function Stored:__close()
  self.scratch:remove()
end

local function check_size(name, stat)
  local max = jobq.config.file.max_bytes
  if stat.size > max then
    return nil, ("%s has %d bytes, more than %d\nhint: the setting file.max_bytes"):format(
      name, stat.size, max), "refused"
  end
  return true
end

local function fetch(self)
  local stat, why, code = self.storage:stat(self.name)
  local fine = stat
  if stat and stat.type == "file" then
    fine, why, code = check_size(self.name, stat)
  end
  if not fine then
    return nil, why, code
  end
  return self.storage:fetch(self.name, self.scratch)
end

--- Where it is here: a file, or a folder.
function Stored:path()
  if not self.here then
    local path, why, code = fetch(self)
    if not path then
      return nil, why, code
    end
    self.here = path
  end
  return self.here
end

--- The same as lib/storage says, with this file's storage and scratch folder.
function Stored:make(name, make)
  return self.storage:make(name, self.scratch, make)
end

--- Puts another content in its place.
function Stored:replace(path, content_type)
  local done, why, code = self.storage:put(path, self.name, content_type)
  if done then
    self.here = path
  end
  return done, why, code
end

--- Calls f(path, folder) with where the file is, and the scratch folder.
function Stored:with(f)
  local path, why, code = self:path()
  local folder
  if path then
    folder, why, code = self.scratch:folder()
  end
  if not folder then
    return nil, why, code
  end
  return f(path, folder)
end

return M
