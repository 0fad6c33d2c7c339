--- The ledger: one line of JSON a run; and the same for people.
local codec = require("jobq.core").json
local files = require "support.files"

local M = {}

local function commit()
  local pipe <close> = assert(io.popen(
    "exec 2>/dev/null; git rev-parse --short HEAD; git status --porcelain | head -1"))
  local name = pipe:read "l" or "unknown"
  return pipe:read "l" and name .. "+" or name -- "+": with changes that are not committed
end

function M.append(path, options, result)
  files.make_dir(path:match "^(.*)/[^/]*$")
  local file <close> = assert(io.open(path, "a"))
  file:write(codec.encode {
    at = os.time(), commit = commit(), mode = options.mode, seed = options.seed,
    seconds = options.seconds, workers = options.workers, dead_after = options.dead_after,
    jobs = result.jobs, acknowledged = result.acknowledged, runs = result.runs,
    counts = result.counts, boundaries = result.boundaries, recovery = result.recovery,
    violations = #result.violations,
  }, "\n")
end

local function recovery_line(name, r)
  if r.n == 0 then
    return nil
  end
  return ("%s: %d jobs ran again, after %.2f s (median), %.2f (90 %%), %.2f to %.2f"):format(
    name, r.n, r.p50, r.p90, r.min, r.max)
end

function M.summary(result)
  local counts = {}
  for name, count in pairs(result.counts) do
    table.insert(counts, ("%s %s"):format(name, count))
  end
  table.sort(counts)
  local lines = {
    ("%d jobs, %d acknowledgements, %d runs"):format(result.jobs, result.acknowledged, result.runs),
    table.concat(counts, ", "),
    ("connections were cut %d times, at %d different boundaries"):format(
      result.boundaries.cuts, result.boundaries.different),
  }
  table.insert(lines, recovery_line("kill -9 of a worker", result.recovery.kill_worker))
  table.insert(lines, recovery_line("kill -9 of an executor", result.recovery.kill_executor))
  local violations = #result.violations
  table.insert(lines, violations == 0 and "no violations" or violations .. " VIOLATIONS")
  return table.concat(lines, "\n")
end

return M
