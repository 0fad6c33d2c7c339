--- Attachments as arguments have them: a text, bytes in base64, or a file below email.attachments.
local jobq = require "jobq"

--- The arguments' fields.
local FIELDS = {
  name = "string?",
  text = "string?",
  base64 = "string?",
  path = { "string?", summary = "below the folder email.attachments" },
  type = { "string?", summary = "like text/csv; charset=utf-8; default by the name" },
  cid = { "string?", summary = 'of an image in the html: <img src="cid:...">' },
}

local M = { args = { "array?", max = 50, items = { "object", fields = FIELDS } } }

local contents = {}

function contents.text(given)
  return { content = given.text }
end

function contents.base64(given)
  local bytes, why, code = jobq.crypto.decode(given.base64, "base64")
  return bytes and { content = bytes }, why, code and "bad_attachment"
end

function contents.path(given)
  local path, why, code = jobq.fs.below(jobq.config("email.attachments"), given.path)
  return path and { path = path, name = given.path:match("[^/]*$") }, why, code
end

--- Which of its contents it has; or nil, message, code.
local function source_of(given)
  local source
  for name in pairs(contents) do
    if given[name] and source then
      return nil, "expected one of text, base64 and path, got two", "bad_attachment"
    end
    source = given[name] and name or source
  end
  if not source or source ~= "path" and not given.name then
    return nil, "expected a path, or a name and a text or base64", "bad_attachment"
  end
  return source
end

local function convert(given)
  local source, why, code = source_of(given)
  local file
  if source then
    file, why, code = contents[source](given)
  end
  if file then
    file.cid, file.name, file.type = given.cid, given.name or file.name, given.type
  end
  return file, why, code
end

--- As jobq.smtp.send takes them; or nil, message, code.
function M.files(list)
  local files = {}
  for i, given in ipairs(list or {}) do
    local file, why, code = convert(given)
    if not file then
      return nil, ("attachments[%d]: %s"):format(i, why), code
    end
    files[i] = file
  end
  return files
end

return M
