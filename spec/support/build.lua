--- Where the build is: the folder whose lua/jobq/core.so this very run has loaded.
local uv = require "luv"

local M = {}

local module = package.searchpath("jobq.core", package.cpath)
if not module then
  error('jobq.core is not found: run scripts/build, then set LUA_CPATH="build/lua/?.so;;"', 0)
end
local dir = module:match "^(.*)/lua/jobq/core%.so$" or "build"

--- The folder of our programs, absolute.
function M.path()
  return assert(uv.fs_realpath(dir))
end

--- The path of a program of ours.
function M.program(name)
  return M.path() .. "/" .. name
end

--- Memory measured there says little: AddressSanitizer keeps what is freed.
function M.is_sanitized()
  return M.path():find "/asan$" ~= nil
end

return M
