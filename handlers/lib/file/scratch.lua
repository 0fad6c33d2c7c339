--- A folder for what a run has not finished, made when it is first needed. It goes with the run;
--- what a crash has left of it goes when the job is tried again.
---
---   local scratch = require("lib.file.scratch").new(job)
---   local path, why, code = scratch:folder()
---   scratch:remove()
local jobq = require "jobq"
local name_of = require "lib.storage.name"

local M = {}

local Scratch = {}
Scratch.__index = Scratch

function M.new(job)
  return setmetatable({ name = job.idempotency_key }, Scratch)
end

local function path_of(name)
  local parent, why, code = jobq.fs.below(jobq.config.file.root, name_of.SCRATCH)
  return parent and ("%s/%s"):format(parent, name), why, code
end

local function make(name)
  local path, why, code = path_of(name)
  local fine = path
  if fine then
    fine, why, code = jobq.fs.remove(path, { recursive = true })
  end
  if fine then
    fine, why, code = jobq.fs.make_dir(path)
  end
  return fine and path, why, code
end

function Scratch:folder()
  if not self.path then
    local path, why, code = make(self.name)
    if not path then
      return nil, why, code
    end
    self.path = path
  end
  return self.path
end

--- Also what a run before has left that this one had no need of.
function Scratch:remove()
  local path = path_of(self.name)
  if path then
    jobq.fs.remove(path, { recursive = true })
  end
end

return M
