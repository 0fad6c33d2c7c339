--- A stored file in the hands of a run: a local file once it is needed, and a scratch folder. What
--- cannot be done ends the run (need.lua).
---
---   local file <close> = stored.new(job, "uploads/ann/photo.jpg")
local jobq = require "jobq"
local need = require "lib.file.need"
local scratch = require "lib.file.scratch"
local storage = require "lib.storage"

local M = {}

local TOO_LARGE = "%s has %d bytes, more than %d\nhint: the setting file.max_bytes"

local Stored = {}
Stored.__index = Stored

function M.new(job, name)
  return setmetatable({ name = name, storage = storage.open(), scratch = scratch.new(job) }, Stored)
end

function Stored:__close()
  self.scratch:remove()
end

local function fetch(self)
  local stat, max = need(self.storage:stat(self.name)), jobq.config.file.max_bytes
  if stat.type == "file" and stat.size > max then
    error(jobq.discard(TOO_LARGE:format(self.name, stat.size, max)))
  end
  return need(self.storage:fetch(self.name, self.scratch))
end

--- Where it is here: a file, or a folder.
function Stored:path()
  self.here = self.here or fetch(self)
  return self.here
end

function Stored:stat()
  return need(jobq.fs.stat(self:path()))
end

--- For what is not finished.
function Stored:folder()
  return need(self.scratch:folder())
end

--- Gives name to what make(path) writes.
function Stored:make(name, make)
  return need(self.storage:make(name, self.scratch, make))
end

function Stored:put(from, name, content_type)
  return need(self.storage:put(from, name, content_type))
end

--- Puts another content in its place.
function Stored:replace(path, content_type)
  self:put(path, self.name, content_type)
  self.here = path
end

function Stored:move(name)
  return need(self.storage:move(self.name, name))
end

return M
