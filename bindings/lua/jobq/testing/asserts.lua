--- assert.enqueued { kind = "email.send", args = { to = "ann@example.org" } }, for busted.
local core = require "jobq.core"

local M = {}

--- Whether all that is wanted is there; what else there is does not matter.
local function includes(value, wanted)
  if type(wanted) ~= "table" or type(value) ~= "table" then
    return value == wanted
  end
  for name, each in pairs(wanted) do
    if not includes(value[name], each) then
      return false
    end
  end
  return true
end

local function show(value)
  local ok, text = pcall(core.json.encode, value)
  return ok and text or tostring(value)
end

local function describe(jobs)
  local lines = {}
  for i, job in ipairs(jobs) do
    lines[i] = ("  %s %s"):format(job.kind, next(job.args) and show(job.args) or "{}")
  end
  return #lines > 0 and "these were:\n" .. table.concat(lines, "\n") or "nothing was"
end

--- list() gives the jobs of this spec.
function M.register(list)
  local has_luassert, assert = pcall(require, "luassert")
  if not has_luassert then
    return
  end
  local function enqueued(state, arguments)
    local wanted, jobs = arguments[1], list()
    if type(wanted) ~= "table" then
      error("assert.enqueued: expected a table like { kind = 'email.send' }", 2)
    end
    local text = state.mod and "no job like %s was enqueued, %s" or "a job like %s was enqueued, %s"
    rawset(state, "failure_message", text:format(show(wanted), describe(jobs)))
    for _, job in ipairs(jobs) do
      if includes(job, wanted) then
        return true
      end
    end
    return false
  end
  assert:register("assertion", "enqueued", enqueued, "assertion.true.positive",
    "assertion.true.negative")
end

return M
