--- How commands ask for batches and show them.
local jobs = require "_jobs"
local json = require "_json"

local M = {}

M.STATUSES = { "open", "closed", "cancelling", "completed", "failed", "cancelled" }

--- The columns of a batch that the commands show, of a relation `b` like jobq.batch_status.
M.COLUMNS = table.concat({
  "b.id", "b.name", "b.parent", "b.status", "b.total", "b.done", "b.succeeded", "b.failed",
  "b.cancelled", "b.expired", "b.deleted", "b.percent", "b.refire",
  jobs.iso "b.created_at" .. " as created_at", jobs.iso "b.closed_at" .. " as closed_at",
  jobs.iso "b.ended_at" .. " as ended_at", jobs.age "b.created_at" .. " as created_for",
  jobs.age "b.closed_at" .. " as closed_for", jobs.age "b.ended_at" .. " as ended_for",
}, ", ")

--- more: fields of one that a list does not have.
function M.to_json(batch, more)
  local fields = {
    { "id", tostring(batch.id) }, { "name", batch.name },
    { "parent", batch.parent and tostring(batch.parent) }, { "status", batch.status },
  }
  for _, name in ipairs {
    "total", "done", "succeeded", "failed", "cancelled", "expired", "deleted", "percent", "refire",
    "created_at", "closed_at", "ended_at",
  } do
    table.insert(fields, { name, batch[name] })
  end
  return json.object(table.move(more or {}, 1, #(more or {}), #fields + 1, fields))
end

return M
