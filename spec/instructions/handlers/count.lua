--- What instructions_test counts: jobs that do nothing, and one behind them that marks the end.
local jobq = require "jobq"

return {
  noop = {
    run = function() end,
  },

  last = {
    run = function()
      jobq.sleep(0) -- the counts of the executor are written when it comes here
    end,
  },
}
