--- Where files are: a folder of this machine, or a bucket that speaks S3. Both have
---
---   storage:stat(name)                  { size = bytes }
---   storage:fetch(name, scratch)        a local file with its content; leave that as it is
---   storage:put(path, name, type)       from a local file, whole or not at all
---   storage:make(name, scratch, make)   the same, from make(path), which writes the whole of it
---   storage:move(from, to)              done, too, when from is gone and to is there
---   storage:remove(name)                that it is gone already is fine
---
--- scratch is one of lib/file/scratch.lua. All answer nil, why, code: "ENOENT" where there is
--- nothing, "outside" for a name that leads out.
local jobq = require "jobq"

local M = {}

--- What is missing is told when the handlers load.
if jobq.config.file.storage == "s3" then
  require("lib.storage.s3").check(jobq.config.s3)
end

--- What the settings file.* and s3.* say.
function M.open()
  if jobq.config.file.storage == "s3" then
    return require("lib.storage.s3").open(jobq.config.s3)
  end
  return require("lib.storage.folder").open(jobq.config.file.root)
end

return M
