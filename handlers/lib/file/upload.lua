--- The application's row of an upload: two statements of the settings, file.find and file.record.
local jobq = require "jobq"

local M = {}

--- A statement that cannot be right is not tried again: SQLSTATE class 42.
local function fail(setting, why, code)
  if tostring(code):find "^42" then
    error(jobq.discard(("%s\nhint: the statement is the setting %s"):format(why, setting)))
  end
  error(jobq.retry(why))
end

--- Where its file is.
function M.path(id)
  local path, why, code = jobq.sql.value(jobq.config.file.find, id)
  if path == nil and code then
    fail("file.find", why, code)
  elseif path == nil then
    error(jobq.discard(("there is no upload %d"):format(id)))
  end
  return path
end

--- Keeps what was found out: status, content_type, bytes, sha256, width, height, thumbnails.
function M.record(id, facts)
  local rows, why, code = jobq.sql.query(jobq.config.file.record, id, facts)
  if not rows then
    fail("file.record", why, code)
  end
end

return M
