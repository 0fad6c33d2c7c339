--- Profiles of a homeserver as the application has them.
local jobq = require "jobq"
local matrix = require "lib.matrix.client"

local M = {}

local AVATAR_BYTES = 5 << 20

---- the application's people ----

--- What is wrong with the statement does not pass by itself.
local function ask(statement, ...)
  local rows, why, code = jobq.sql.query(statement, ...)
  if not rows and tostring(code):find "^42" then
    error(jobq.discard(("matrix.people: %s\nhint: it has to be a query that runs"):format(why)))
  end
  return jobq.must(rows, why, code)
end

--- A page of them, those behind `after`: { matrix_id, name, avatar }. only: array of ids, or nil.
function M.people(after, only)
  return ask(jobq.config.matrix.people, after, jobq.config.matrix.page, only or jobq.json.null)
end

function M.count(only)
  local statement = "select count(*)::int8 as n from (" .. jobq.config.matrix.people .. ") as q"
  return ask(statement, "", math.maxinteger, only or jobq.json.null)[1].n
end

---- avatars ----

local IMAGES = {
  ["^\x89PNG\r\n\x1a\n"] = "image/png", ["^\xff\xd8\xff"] = "image/jpeg",
  ["^GIF8[79]a"] = "image/gif", ["^RIFF....WEBP"] = "image/webp",
}

local function type_of(bytes)
  for pattern, name in pairs(IMAGES) do
    if bytes:find(pattern) then
      return name
    end
  end
end

--- The file's bytes and type; nil, message, code.
local function read_avatar(name)
  local path, why, code = jobq.fs.below(jobq.config("file.root", "."), name)
  local bytes = path and nil
  if path then
    bytes, why, code = jobq.fs.read(path, { max_bytes = AVATAR_BYTES })
  end
  if not bytes then
    return nil, why, code
  elseif not type_of(bytes) then
    return nil, name .. ": expected a PNG, JPEG, GIF or WebP", "no_image"
  end
  return bytes, type_of(bytes)
end

--- Is it what the homeserver shows? It knows the checksum of what it has.
local function is_shown(url, bytes)
  local server, id = tostring(url):match "^mxc://([^/]+)/(.+)$"
  local answer = id and matrix.find { "/_synapse/admin/v1/media/%s/%s", server, id }
  return answer and answer.media_info.sha256 == jobq.crypto.hash("sha256", bytes, "hex")
end

local function upload(bytes, kind)
  local reply, why, code = matrix.request("POST", { "/_matrix/media/v3/upload" },
    { body = bytes, headers = { ["Content-Type"] = kind } })
  return reply and reply:json().content_uri, why, code
end

---- one person ----

--- What is wrong with this one person's row; all else is no reason to go on with the next.
local OWN_FAULT = {
  http_400 = true, http_413 = true, no_image = true, outside = true,
  ENOENT = true, ENOTDIR = true, EISDIR = true, EFBIG = true, EACCES = true,
}

--- The value, or nil and why this person is left out.
local function unless_own_fault(value, why, code)
  if value or OWN_FAULT[code] then
    return value, why
  end
  return matrix.must(value, why, code)
end

local function set(id, field, value)
  return unless_own_fault(matrix.request("PUT", { "/_matrix/client/v3/profile/%s/" .. field, id },
    { json = { [field] = value } }))
end

local function name_change(person, account)
  if person.name and person.name ~= account.displayname then
    return function() return set(person.matrix_id, "displayname", person.name) end
  end
end

local function avatar_change(person, account)
  if not person.avatar then
    return nil -- the homeserver's own stays
  end
  local bytes, kind, code = read_avatar(person.avatar)
  if not unless_own_fault(bytes, kind, code) then
    return nil, kind
  elseif is_shown(account.avatar_url, bytes) then
    return nil
  end
  return function()
    local url, why = unless_own_fault(upload(bytes, kind))
    if not url then
      return nil, why
    end
    return set(person.matrix_id, "avatar_url", url)
  end
end

local FIELDS = { "name", "avatar" }
local CHANGES = { name = name_change, avatar = avatar_change }

--- Makes what differs the same: the names of what has changed, and why some could not.
local function apply(person, account, dry_run)
  local changed, problem = {}, nil
  for _, field in ipairs(FIELDS) do
    local change, why = CHANGES[field](person, account)
    local done = change and dry_run
    if change and not dry_run then
      done, why = change()
    end
    changed[#changed + 1] = done and field or nil
    problem = problem or why
  end
  return changed, problem
end

--- "same", "changed", "missing" (no such account, or deactivated) or "refused", and details.
function M.sync(person, dry_run)
  local reply, why, code =
    matrix.request("GET", { "/_synapse/admin/v2/users/%s", person.matrix_id })
  if code == "http_404" and not why:find "M_UNRECOGNIZED" then
    return "missing"
  elseif not unless_own_fault(reply, why, code) then
    return "refused", { why = why }
  end
  local account = reply:json()
  if account.deactivated then
    return "missing"
  end
  local changed, problem = apply(person, account, dry_run)
  if problem then
    return "refused", { why = problem, changed = changed }
  end
  return changed[1] and "changed" or "same", { changed = changed }
end

return M
