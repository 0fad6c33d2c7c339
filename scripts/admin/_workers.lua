--- Living workers, as people name them.
local failure = require "_failure"
local near = require "_near"
local text = require "_text"

local M = {}

local ALIVE = [[
select w.id, w.name, w.host, w.pid, w.claimed from jobq.worker_status w
where w.state = 'running' order by w.name, w.id]]

---@return table[] rows id, name, host, pid, claimed (jobs that it holds now)
function M.alive(context)
  return context.db:query(ALIVE)
end

local function names_of(rows)
  local names = {}
  for i, row in ipairs(rows) do
    names[i] = row.name
  end
  return names
end

--- The living worker of that name or id; raises if there is none, or more than one.
function M.find(context, word)
  local rows, found = M.alive(context), {}
  for _, row in ipairs(rows) do
    if row.name == word or tostring(row.id) == word then
      table.insert(found, row)
    end
  end
  local shown = text.clean(word)
  if #found == 0 then
    failure.raise("not_found", ("no living worker is called '%s'"):format(shown),
      near.hint(word, names_of(rows)) or "jobq workers lists them")
  elseif #found > 1 then
    failure.raise("usage", ("%d living workers are called '%s'"):format(#found, shown),
      "name one by its id: jobq workers --json")
  end
  return found[1]
end

return M
