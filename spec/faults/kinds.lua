--- What is expected of the kinds in spec/faults/handlers/chaos.lua. For producers and the auditor.
--
-- ends           the status that its jobs end with
-- fails          the first so many attempts fail
-- max_attempts   as the handler says
-- delay          seconds after a failed attempt; absent: 2 ^ attempt
-- expires        it may be cancelled because it has expired
-- weight         how often producers choose it
local M = {
  quick = { ends = "completed", fails = 0, max_attempts = 6, weight = 30 },
  sleep = { ends = "completed", fails = 0, max_attempts = 6, weight = 30 },
  flaky = { ends = "completed", fails = 2, max_attempts = 6, delay = 0.5, weight = 8 },
  backoff = { ends = "completed", fails = 1, max_attempts = 6, weight = 4 },
  broken = { ends = "failed", fails = 2, max_attempts = 2, delay = 0.3, weight = 5 },
  discard = { ends = "failed", fails = 0, max_attempts = 6, weight = 4 },
  snooze = { ends = "completed", fails = 0, max_attempts = 6, weight = 6 },
  unique = { ends = "completed", fails = 0, max_attempts = 6, weight = 15 },
  crash = { ends = "completed", fails = 0, max_attempts = 6, weight = 0.5 },
  compute = { ends = "completed", fails = 1, max_attempts = 6, delay = 0.3, weight = 0.7 },
  steps = { ends = "completed", fails = 1, max_attempts = 6, delay = 0.3, weight = 6 },
  limited = { ends = "completed", fails = 0, max_attempts = 6, weight = 8 },
  expires = { ends = "completed", fails = 0, max_attempts = 6, weight = 8, expires = true },
  tick = { ends = "completed", fails = 0, max_attempts = 6, weight = 0 },
  batch = { weight = 4 }, -- a request for four jobs of other kinds that belong together
  batch_ended = { ends = "completed", fails = 0, max_attempts = 6, weight = 0 },
  stubborn = { ends = "completed", fails = 1, max_attempts = 6, weight = 0.4 },
}

for name, kind in pairs(M) do
  kind.name = "chaos." .. name
end

return M
