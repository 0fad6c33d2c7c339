--- What has happened to a user since the last digest.
local ask = require "lib.notification.ask"
local jobq = require "jobq"
local notes = require "lib.notification.note"
local statement = require "lib.statement"

local M = {}

--- The items that no digest has told of; or nil, message, code. Which these are is kept before
--- anything is sent: a later run tells of the same ones.
function M.gather(user)
  return jobq.step("items", function()
    local rows, why, code = ask("digest_items", user)
    if not rows then
      return nil, why, code
    end
    local titles = jobq.json.array {}
    for i, row in ipairs(rows) do
      titles[i] = row.title
    end
    return { ids = statement.ids_of(rows), titles = titles }
  end)
end

--- As a notification of the topic digest.
function M.note(job, items)
  local title = jobq.config.notification.digest_title:gsub("%$count", tostring(#items.ids))
  return notes.of(job, job.args.user, {
    title = title, body = table.concat(items.titles, "\n"), topic = "digest",
    url = jobq.config("notification.digest_url", nil), urgent = false,
  })
end

--- Another time is no harm. true; or nil, message, code.
function M.mark(items)
  local rows, why, code = ask("digest_mark", items.ids)
  return rows and true, why, code
end

return M
