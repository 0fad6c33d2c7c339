--- The kinds that scripts/bench runs.
local jobq = require "jobq"

return {
  noop = {
    summary = "does nothing",
    run = function() end,
  },

  sleeper = {
    summary = "sleeps until the worker stops",
    timeout = 7200,
    run = function()
      jobq.sleep(3600)
    end,
  },
}
