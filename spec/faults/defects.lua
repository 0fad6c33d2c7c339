--- Seeded defects: what the auditor must find, with the run that provokes each.
--
-- about     what is wrong
-- finds     the checks that show it, any of them
-- sql       files of faults/defects, applied to the private database; absent: it is in the program
--           (core/base/defect.h), or in the producer
-- faults    what happens, by chance
-- run       more options of the run (run.lua)
local M = {}

M.no_fence = {
  about = "a worker that was declared dead settles its jobs all the same",
  finds = { "twice", "settled" },
  sql = { "_ghost", "_patch", "no_fence" },
  faults = { "stop_worker" },
  run = { mix = "long", rate = 1, workers = 2 },
}

M.two_step_recovery = {
  about = "recovery finds jobs, then puts them back, in two statements",
  finds = { "twice", "settled", "stuck", "late_starts", "repeated" },
  sql = { "_ghost", "_patch", "two_step_recovery" },
  faults = { "kill_worker", "stop_worker" },
  run = { mix = "long", rate = 2 },
}

M.settle_twice = {
  about = "an outcome that is told again is written again",
  finds = { "twice", "settled" },
  sql = { "_ghost", "_patch", "settle_twice" },
  faults = { "cut" },
  run = { mix = "quick", rate = 40 },
}

M.lost_wakeup = {
  about = "a worker falls asleep without waiting for transactions that may have missed it",
  finds = { "waited", "stuck" },
  faults = {}, -- none: silence is what shows it
  run = { mix = "lull", workers = 1, producers = 1, clocks = false },
}

M.repeated_leases = {
  about = "lease numbers are handed out again after a crash",
  finds = { "unearned", "twice", "settled", "stuck", "repeated" },
  faults = { "crash_server" },
  run = { mix = "bursts", workers = 2, producers = 1, settings = { wal_writer_delay = "10s" } },
}

M.reconcile_in_flight = {
  about = "reconciliation returns leases of a claim whose reply is still under way",
  finds = { "repeated" },
  faults = { "delay" },
  run = { mix = "sleep", rate = 20, heartbeat = 30 },
}

M.cut_commit = {
  about = "a producer takes a cut reply to COMMIT for a failure, and sends again",
  finds = { "doubled" },
  faults = { "cut_producer" },
  run = { mix = "quick", rate = 30, workers = 2 },
}

M.burnt_attempt = {
  about = "a job that is given back has used an attempt",
  finds = { "settled" },
  sql = { "_patch", "burnt_attempt" },
  faults = { "kill_executor", "stop_in_order" },
  run = { mix = "sleep", rate = 10, workers = 2 },
}

M.early_lock_death = {
  about = "a worker is dead as soon as its lock is free",
  finds = { "deaths" },
  faults = { "half_open" },
  run = { mix = "long", rate = 1.5, dead_after = 90, heartbeat = 5000 },
}

M.forgotten_key = {
  about = "a retry by hand forgets the job's unique key",
  finds = { "keys" },
  sql = { "_patch", "forgotten_key" },
  faults = { "retry" },
  run = { mix = "keys", rate = 8, workers = 2 },
}

M.leaky_limit = {
  about = "a job keeps its slot of a limit until it is claimed, not until it ends",
  finds = { "limits" },
  sql = { "_patch", "leaky_limit" },
  faults = {},
  run = { rate = 40 },
}

M.doubled_tick = {
  about = "a tick is taken by each of two schedulers",
  finds = { "ticks" },
  sql = { "_patch", "doubled_tick" },
  faults = {},
  run = { workers = 2 },
}

M.early_follower = {
  about = "a job that follows the holder of its unique key does not wait for its end",
  finds = { "keys" },
  sql = { "_patch", "early_follower" },
  faults = {},
  run = { mix = "followers", rate = 8, workers = 2 },
}

M.early_expiry = {
  about = "the time until a job expires is counted from its enqueue, not from when it is due",
  finds = { "expired" },
  sql = { "_patch", "early_expiry" },
  faults = {},
  run = { mix = "expiring", rate = 40, workers = 1 },
}

M.untold_waiter = {
  about = "who waits for a job that is cancelled is not told",
  finds = { "told" },
  sql = { "_patch", "untold_waiter" },
  faults = { "cancel" },
  run = { mix = "sleep", rate = 20, workers = 1 },
}

M.unheard_snooze = {
  about = "a job that is put off is answered for, and begins when it would have",
  finds = { "snoozed" },
  sql = { "_patch", "unheard_snooze" },
  faults = { "snooze" },
  run = { mix = "sleep", rate = 40, workers = 1 },
}

M.unkept_step = {
  about = "what a step gave is not kept for the next run",
  finds = { "steps" },
  sql = { "_patch", "unkept_step" },
  faults = {},
  run = { workers = 2 },
}

M.repeated_end = {
  about = "a batch ends again when a member is retried by hand after its end",
  finds = { "batches" },
  sql = { "_patch", "repeated_end" },
  faults = { "retry" },
  run = { workers = 2 },
}

local names = {}
for name in pairs(M) do
  table.insert(names, name)
end
table.sort(names)

return { list = M, names = names }
