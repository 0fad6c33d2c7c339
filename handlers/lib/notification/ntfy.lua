--- ntfy, at ntfy.sh or a server of one's own. The address is the topic.
local fit = require "lib.notification.fit"
local jobq = require "jobq"

local M = {}

local LIMIT = 4096 -- bytes; more becomes an attachment there
local DEFAULT, HIGH = 3, 5

local function message(note, target)
  return function(body)
    return jobq.json.encode {
      topic = target.address, title = note.title, message = body, click = note.url,
      tags = jobq.json.array { note.topic }, priority = note.urgent and HIGH or DEFAULT,
      sequence_id = note.id, -- from ntfy 2.16 on a copy takes the place of the first
    }
  end
end

function M.request(note, target)
  local settings = jobq.config.notification
  local text, why, code = fit(note.body, LIMIT, message(note, target))
  if not text then
    return nil, why, code
  end
  return {
    url = settings.ntfy_url, bearer = settings.ntfy_token, body = text,
    headers = { ["Content-Type"] = "application/json" },
  }
end

--- Nobody can tell: topics come to be when somebody looks.
function M.is_gone()
  return false
end

return M
