--- What retry and cancel share: one statement a job, and an account of what became of each.
local failure = require "_failure"
local jobs = require "_jobs"
local json = require "_json"

local M = {}

local function account(context, id, row, describe)
  if not row or row.status == nil then
    return ("job %d does not exist"):format(id), "not_found"
  end
  local done, refused = describe(id, row)
  if done and not context.json then
    context:print(done)
  end
  return refused, refused and "refused"
end

--- sql gets the id and more, and answers `status`; describe(id, row) a line, or nil and why not.
function M.each(context, sql, describe, ...)
  local items, problems = {}, {}
  for _, id in ipairs(context.arguments.id) do
    local row = context.db:row(sql, id, ...)
    local problem, code = account(context, id, row, describe)
    if problem then
      table.insert(problems, { message = problem, code = code })
    else
      table.insert(items, json.object { { "id", tostring(id) }, { "status", row.status } })
    end
  end
  if context.json and (#items > 0 or #problems == 0) then
    context:print_items(items)
  end
  for i = 1, #problems - 1 do
    context.say(problems[i].message)
  end
  local last = problems[#problems]
  if last then
    failure.raise(last.code, last.message, last.code == "not_found" and jobs.KEPT or nil)
  end
end

return M
