--- Whom to tell, when, and by which ways.
local ask = require "lib.notification.ask"
local jobq = require "jobq"
local notes = require "lib.notification.note"

local M = {}

--- Seconds until the user's quiet hours end, 0 when it is not quiet; or nil, message, code.
function M.quiet_seconds(user)
  local rows, why, code = ask("quiet", user)
  if not rows then
    return nil, why, code
  elseif not rows[1] then
    return nil, ("there is no user %d"):format(user), "bad_note"
  end
  return rows[1].seconds or 0
end

--- In the application; once, by its key. true; or nil, message, code.
function M.show(note)
  if not notes.wants(note, "app") then
    return true
  end
  local rows, why, code = ask("show", note.user, note.topic, note.title, note.body, note.url,
    note.key)
  return rows and true, why, code
end

--- The rows of the subscriptions by id, and the ids in order; or nil, message, code.
local function wanted(note)
  local rows, why, code = ask("targets", note.user, note.topic)
  if not rows then
    return nil, why, code
  end
  local by_id, ids = {}, jobq.json.array {}
  for _, row in ipairs(rows) do
    if notes.wants(note, row.channel) then
      by_id[row.id] = row
      table.insert(ids, row.id)
    end
  end
  return by_id, ids
end

--- The subscriptions that it goes to, the same in all attempts; or nil, message, code. Of those
--- that are not there any more only the id is known.
function M.targets(note)
  local by_id, ids, code = wanted(note)
  if not by_id then
    return nil, ids, code
  end
  local targets = {}
  for i, id in ipairs(jobq.step("targets", function() return ids end)) do
    targets[i] = by_id[id] or { id = id }
  end
  return targets
end

return M
