--- One notification to many users, as one job for each.
local ask = require "lib.notification.ask"
local jobq = require "jobq"
local notes = require "lib.notification.note"

local M = {}

local CHUNK = 500 -- jobs that are added in one statement

local function add(batch, args, rows)
  local pushes = {}
  for i, row in ipairs(rows) do
    pushes[i] = notes.args_for(row.id, args)
  end
  if rows[1] then
    jobq.must(batch:enqueue_many("notification.push", pushes))
  end
end

--- Adds them all, those of args.users or else of the audience; how many, or nil, message, code.
function M.enqueue(batch, args)
  local count, last = 0, 0
  repeat
    local rows, why, code = ask("audience", args.topic, last, CHUNK, args.users or jobq.json.null)
    if not rows then
      return nil, why, code
    end
    add(batch, args, rows)
    count, last = count + #rows, rows[1] and rows[#rows].id
  until #rows < CHUNK
  return count
end

--- What has become of it, from the arguments of the callback.
function M.report(batch)
  return {
    batch = batch.id, name = batch.name, total = batch.total, sent = batch.succeeded,
    failed = batch.failed, cancelled = batch.cancelled + batch.expired + batch.deleted,
  }
end

return M
