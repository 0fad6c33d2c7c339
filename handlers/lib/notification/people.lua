--- Whom to tell, when, and by which ways.
local ask = require "lib.notification.ask"
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

--- The subscriptions that it goes to; or nil, message, code.
function M.targets(note)
  local rows, why, code = ask("targets", note.user, note.topic)
  local chosen = {}
  for _, target in ipairs(rows or {}) do
    chosen[#chosen + 1] = notes.wants(note, target.channel) and target or nil
  end
  return rows and chosen, why, code
end

return M
