--- What is left at the end, who was declared dead, who held unique keys.
local M = {}

local LOCK_GRACE_S = 14 -- a lock must have been free so long, see core/upkeep/rescuer.c

--- Nothing is left behind.
function M.left(book, tell)
  for _, what in ipairs(book.all.left) do
    tell(nil, "left behind: " .. what)
  end
end

--- Workers end when they are told to, with status 0.
function M.exits(book, tell)
  for worker, status in pairs(book.all.exits) do
    if status ~= 0 then
      tell(nil, ("worker %s was told to stop and ended with status %s"):format(worker, status))
    end
  end
end

local function was_killed(book, death)
  return book:any(0, death.at - LOCK_GRACE_S, function(entry)
    return entry.fault == "kill_worker" and entry.who == death.worker
  end)
end

--- Nobody is declared dead who was heard of lately and lives.
function M.deaths(book, tell)
  local dead_after = book.all.config.dead_after
  for _, death in ipairs(book.all.deaths) do
    local silent = death.at - death.seen_at
    if silent < dead_after - 0.2 and not was_killed(book, death) then
      tell(nil, ("worker %s was declared dead %.1f s after its last sign of life, not %g s"):format(
        death.worker, silent, dead_after))
    end
  end
end

-- When a job held its key: pairs of times, from what the triggers saw. One that is parked behind
-- the holder has none yet.
local function holdings(life)
  local list, since = {}, nil
  for _, event in ipairs(life or {}) do
    if event.what:find "^waits" then
      since = since or event
    elseif since and event.what:find "^%l+ with attempt" then
      table.insert(list, {
        from = since.at, took = since.xid, to = event.at, gave = event.xid,
      })
      since = nil
    end
  end
  if since then
    table.insert(list, { from = since.at, took = since.xid, to = math.huge })
  end
  return list
end

local function held_keys(book)
  local keys = {}
  for id in pairs(book.jobs) do
    local job = book:job(id)
    local key = job.meta and job.meta.unique
    for _, holding in ipairs(key and holdings(book.all.life[id]) or {}) do
      local name = job.kind .. " " .. key
      keys[name] = keys[name] or {}
      holding.job = id
      table.insert(keys[name], holding)
    end
  end
  return keys
end

-- A follower has the key from the transaction that ends the holder.
local function was_handed_over(last, holding)
  return holding.took ~= nil and holding.took == last.gave
end

--- No two jobs hold one key at a time.
function M.keys(book, tell)
  for name, list in pairs(held_keys(book)) do
    table.sort(list, function(a, b) return a.from < b.from end)
    local last
    for _, holding in ipairs(list) do
      if last and holding.from < last.to and holding.job ~= last.job
        and not was_handed_over(last, holding) then
        tell(holding.job, ("it took key '%s' while job %d held it"):format(name, last.job))
      end
      last = (not last or holding.to > last.to) and holding or last
    end
  end
end

return M
