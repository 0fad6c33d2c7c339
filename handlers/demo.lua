--- For looking at jobq: one kind that needs patience, one with a bug, one that does nothing.
local jobq = require "jobq"

local function ask_inventory(attempt)
  jobq.sleep(0.01) -- as if a server was asked
  if attempt <= 2 then
    return nil, "http 503 from the inventory", "http_503"
  end
  return { stock = 12 }
end

local function total(order)
  return order.customer.discount * order.net -- a bug: there may be no customer
end

return {
  flaky = {
    summary = "fails twice, then succeeds",
    run = function(job)
      local answer, why, code = ask_inventory(job.attempt)
      if not answer then
        job.log:warn(("attempt %d failed: %s"):format(job.attempt, why))
        return nil, why, code
      end
      job.log:info(("attempt %d done"):format(job.attempt), answer)
      return jobq.done(answer)
    end,
  },

  broken = {
    summary = "has a bug",
    retry_delay = 0.5, -- seconds
    run = function(job)
      local sum = total({ id = job.id, net = 40 })
      return jobq.done({ total = sum })
    end,
  },

  noop = {
    summary = "does nothing, for benchmarks",
    run = function() end,
  },
}
