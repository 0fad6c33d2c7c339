--- jobq job ID stack: where a running job is, asked of its worker through the private socket.
local failure = require "_failure"
local host = require "jobq.host"
local json = require "_json"
local text = require "_text"
local time = require "_time"

local M = {}

local PATIENCE_S = 6 -- the worker itself waits 2 s for the process that runs the job
local WORKER = "select w.name, w.host, w.socket from jobq.worker_status w where w.id = $1::bigint"
local HINT = "jobq workers shows when it was last heard of"

local NOT_RUNNING = {
  claimed = "it is about to begin, or has just ended",
  over = "it has just ended",
}
local NUMBERS = { attempt = true, ["for"] = true, ran = true, timeout = true }
local OF_PART = { state = true, ["for"] = true, ["in"] = true }

--- The lines of the answer (core/app/looking.h, bindings/run_look.h): its fields, and in parts[1]
--- the run, in the others what jobq.parallel runs of it.
local function parse(answer)
  local part = { stack = {} }
  local sight = { parts = { part } }
  for line in answer:gmatch "[^\n]+" do
    local word, value = line:match "^(%S+) ?(.*)$"
    if word == "part" then
      part = { stack = {} }
      table.insert(sight.parts, part)
    elseif word == "at" then
      table.insert(part.stack, value)
    elseif word then
      local place = OF_PART[word] and part or sight
      place[word] = NUMBERS[word] and tonumber(value) or value
    end
  end
  return sight
end

local function refuse(job, worker, code, message)
  local name = text.clean(worker.name)
  if code == "gone" and worker.host ~= host.name() then
    failure.raise("refused", ("job %d runs on worker %s, on host %s: only there it can be asked")
      :format(job.id, name, text.clean(worker.host)))
  elseif code == "gone" then
    failure.raise("failed", ("worker %s, which had job %d, is gone: nobody listens at '%s'"):format(
      name, job.id, text.clean(worker.socket)), HINT)
  elseif code == "denied" then
    failure.raise("refused", ("'%s' is for the user of worker %s alone"):format(
      text.clean(worker.socket), name), "run jobq as that user, or as root")
  end
  failure.raise("failed", ("worker %s does not answer: %s"):format(name, text.clean(message)), HINT)
end

local function ask(job, worker)
  if not worker then
    failure.raise("failed", ("the worker of job %d is not known"):format(job.id))
  elseif not worker.socket then
    failure.raise("refused", ("worker %s has no private socket"):format(text.clean(worker.name)),
      "its log says why")
  end
  local answer, message, code = host.ask(worker.socket, ("stack %d\n"):format(job.id), PATIENCE_S)
  if not answer then
    refuse(job, worker, code, message)
  elseif answer:sub(-4) ~= "end\n" then
    refuse(job, worker, "closed", "it broke off")
  end
  return parse(answer)
end

local function blame(sight)
  local place = sight.last and ", last seen at " .. text.clean(sight.last) or ""
  if sight.busy == "self" then
    return "in C code: no answer within 2 s" .. place
  elseif sight.busy == "nobody" then
    return "no answer within 2 s: the process that runs it does not look at its mail"
  end
  local id, kind = tostring(sight.busy):match "^(%d+) ?(.*)$"
  return ("no answer within 2 s: job %s (%s), in the same process, is in C code%s"):format(
    id, text.clean(kind), place)
end

local function headline(part, sight)
  if part.state == "silent" then
    return blame(sight)
  elseif part.state == "queued" then
    return "handed to its process, not begun"
  end
  local words = ("%s for %s"):format(text.clean(part.state), time.span(part["for"]))
  return part["in"] and ("%s in %s"):format(words, text.clean(part["in"])) or words
end

local function print_sight(context, job, worker, sight)
  context:print(("job %d  %s  attempt %d of %d  on %s"):format(
    job.id, text.clean(job.kind), job.attempt, job.max_attempts, text.clean(worker.name)))
  for i, part in ipairs(sight.parts) do
    local line = headline(part, sight)
    if i == 1 and sight.ran and sight.timeout then
      line = ("%s, times out in %s"):format(line, time.span(sight.timeout - sight.ran))
    end
    context:print(i == 1 and line or "part, " .. line)
    for _, frame in ipairs(part.stack) do
      context:print("  " .. text.clean((frame:gsub(": in ", "  in ", 1))))
    end
  end
end

local function part_to_json(part)
  return json.object {
    { "state", part.state }, { "for", part["for"] }, { "in", part["in"] }, { "stack", part.stack },
  }
end

local function to_json(job, worker, sight)
  local parts = {}
  for i = 2, #sight.parts do
    parts[i - 1] = part_to_json(sight.parts[i])
  end
  local run = sight.parts[1]
  return json.object {
    { "id", tostring(job.id) }, { "kind", job.kind }, { "attempt", job.attempt },
    { "worker", worker.name }, { "worker_id", tostring(job.worker_id) },
    { "state", run.state }, { "for", run["for"] }, { "in", run["in"] },
    { "stack", run.stack }, { "parts", parts },
    { "ran", sight.ran }, { "timeout", sight.timeout },
    { "message", run.state == "silent" and blame(sight) or nil }, { "last", sight.last },
  }
end

--- job: a row of _jobs.lua.
function M.show(context, job)
  if job.status ~= "processing" then
    failure.raise("refused", ("job %d is %s, expected processing: only a running job has a stack")
      :format(job.id, job.status), job.status == "pending" and
      ("jobq why %d tells what keeps it"):format(job.id) or nil)
  end
  local worker = context.db:row(WORKER, job.worker_id)
  local sight = ask(job, worker)
  if sight.error then
    failure.raise("failed", ("worker %s: %s"):format(
      text.clean(worker.name), text.clean(sight.error)))
  elseif NOT_RUNNING[sight.parts[1].state] then
    failure.raise("refused", ("job %d is with worker %s and does not run: %s"):format(
      job.id, text.clean(worker.name), NOT_RUNNING[sight.parts[1].state]))
  elseif context.json then
    context:print_json(to_json(job, worker, sight))
  else
    print_sight(context, job, worker, sight)
  end
end

return M
