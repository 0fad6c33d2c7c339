--- A queue or a kind as pause, resume and limits name it.
local failure = require "_failure"
local near = require "_near"
local text = require "_text"

local M = {}

local NAMES = {
  queue = "select q.name from jobq.queue_status q",
  kind = "select k.name from jobq.kind_status k",
}

local function check(context, what, name)
  local names = {}
  for i, row in ipairs(context.db:query(NAMES[what])) do
    if row.name == name then
      return
    end
    names[i] = row.name
  end
  failure.raise("not_found", ("%s '%s' does not exist"):format(what, text.clean(name)),
    near.hint(name, names) or ("jobq %ss lists them"):format(what))
end

--- The name of the queue or of the kind that the command line says, and in words which it is.
---@return string? queue, string? kind, string words
function M.find(context)
  local queue, kind = context.arguments.queue, context.options.kind
  if (queue ~= nil) == (kind ~= nil) then
    failure.raise("usage", queue and "QUEUE excludes --kind"
      or "QUEUE is missing: its name; or --kind KIND")
  end
  local what = queue and "queue" or "kind"
  check(context, what, queue or kind)
  return queue, kind, what .. " " .. text.clean(queue or kind)
end

return M
