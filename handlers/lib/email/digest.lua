--- What has happened to a user since the last digest.
local ask = require "lib.email.ask"
local jobq = require "jobq"
local statement = require "lib.statement"

local M = {}

--- email, name, locale; or nil, message, code.
local function user_of(id)
  local rows, why, code = ask("digest_user", nil, id)
  if not rows then
    return nil, why, code
  elseif not rows[1] then
    return nil, ("there is no user %d"):format(id), "bad_mail"
  end
  return rows[1]
end

local function only(rows, ids)
  local chosen, items = {}, {}
  for _, id in ipairs(ids) do
    chosen[id] = true
  end
  for _, row in ipairs(rows) do
    items[#items + 1] = chosen[row.id] and row or nil
  end
  return items
end

--- The user and the items that no digest has told of; or nil, message, code. Which these are is
--- kept before anything is sent: a later run tells of the same, but for what another has told.
function M.gather(id)
  local user, why, code = user_of(id)
  if not user then
    return nil, why, code
  end
  local ids, rows
  ids, why, code = jobq.step("items", function()
    local found, problem, problem_code = ask("digest_items", nil, id)
    return found and statement.ids_of(found), problem, problem_code
  end)
  if ids then
    rows, why, code = ask("digest_items", nil, id)
  end
  if not rows then
    return nil, why, code
  end
  return user, only(rows, ids)
end

--- As the arguments of a mail.
function M.mail(user, items)
  return {
    to = user.email, template = "digest", locale = user.locale, list = "digest",
    data = { name = user.name, items = items, count = #items },
  }
end

function M.mark(tx, items)
  return ask("digest_mark", tx, statement.ids_of(items))
end

return M
