--- A clock of its own for a process, by libfaketime: it shows another time, and measures as before.
--
--     process.start { ..., env = clock.env { JOBQ_DSN = dsn, FAKETIME = "+3d" } }
--     clock.forget()                       when it has ended: libfaketime leaves files behind
local uv = require "luv"
local files = require "support.files"

local M = {}

local LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
local MEMORY = "/dev/shm"

function M.env(env)
  env.LD_PRELOAD = LIBRARY
  env.FAKETIME_DONT_FAKE_MONOTONIC = "1"
  env.DONT_FAKE_MONOTONIC = "1"
  -- The runtime of the sanitizer wants to be the first library, and may be the second.
  env.ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":verify_asan_link_order=0"
  return env
end

--- What processes shared that are gone.
function M.forget()
  for _, name in ipairs(files.list(MEMORY)) do
    local pid = tonumber(name:match "faketime_s[he]m_(%d+)$")
    if pid and not uv.kill(pid, 0) then
      os.remove(MEMORY .. "/" .. name)
    end
  end
end

return M
