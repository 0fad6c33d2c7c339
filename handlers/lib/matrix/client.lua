--- A homeserver's client-server API, and Synapse's for administrators. Answers are tables. What is
--- refused is raised: 4xx ends the job for good, silence and 5xx do not.
--- M_LIMIT_EXCEEDED is no error: we wait as long as it says.
---
---     matrix.get({ "/_synapse/admin/v1/rooms/%s", room_id })     each word is escaped
local jobq = require "jobq"

local M = {}

local SHORT = 10 -- seconds that are waited in place; a longer wait gives up the run
local UNTOLD = 5 -- seconds, where nobody says how long
local LARGEST = 1 << 40 -- bytes of one media file; the disk is what limits it

local HINTS = {
  M_MISSING_TOKEN = "set matrix.token",
  M_UNKNOWN_TOKEN = "matrix.token has to be the access token of an administrator",
  M_FORBIDDEN = "matrix.token has to be the access token of an administrator",
  M_UNRECOGNIZED = "does matrix.homeserver lead to Synapse's /_synapse/admin?",
}

---- addresses ----

local function escape(word)
  return (word:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function path_of(where)
  local words = {}
  for i = 2, #where do
    words[i - 1] = escape(where[i])
  end
  return where[1]:format(table.unpack(words))
end

---- answers ----

local function body_of(reply)
  local body = reply.body and reply:json()
  return type(body) == "table" and body or {}
end

--- As one line with a hint: what was asked, and in which words it was refused.
local function refusal(reply, method, where)
  local body = body_of(reply)
  local text = ("%s %s: http %d"):format(method, path_of(where), reply.status)
  if body.errcode then
    text = ("%s, %s: %s"):format(text, body.errcode, body.error or "no reason given")
  end
  local hint = HINTS[body.errcode]
  return nil, hint and text .. "\nhint: " .. hint or text, "http_" .. reply.status
end

local function seconds_to_wait(reply)
  local ms = tonumber(body_of(reply).retry_after_ms)
  return ms and ms / 1000 or tonumber(reply.headers["retry-after"]) or UNTOLD
end

--- The job comes back after a long wait; it goes on where it was, and no attempt is used.
local function wait(seconds)
  if seconds > SHORT then
    error(jobq.snooze(seconds))
  end
  jobq.sleep(seconds)
end

local function once(method, where, options)
  local url = jobq.config.matrix.homeserver:gsub("/+$", "")
  options.method, options.url = method, url .. path_of(where)
  options.bearer, options.allow_private = jobq.config.matrix.token, true
  local reply, why, code = jobq.http.request(options)
  if not reply then
    return nil, ("homeserver %s: %s"):format(url, why), code
  end
  return reply
end

---- requests ----

--- The reply, whatever becomes of it: nil, message, code ("http_404") when it is refused.
function M.request(method, where, options)
  options = options or {}
  local reply, why, code = once(method, where, options)
  while reply and reply.status == 429 do
    wait(seconds_to_wait(reply))
    reply, why, code = once(method, where, options)
  end
  if not reply then
    return nil, why, code
  elseif not reply.ok then
    return refusal(reply, method, where)
  end
  return reply
end

local PASSING = { http_408 = true, http_425 = true }

--- As jobq.must; people get what the homeserver forbids without a traceback.
function M.must(value, why, code)
  if not value and tostring(code):find "^http_4" and not PASSING[code] then
    error(jobq.discard(why))
  end
  return jobq.must(value, why, code)
end

local function json_of(reply)
  return jobq.must(reply:json())
end

function M.get(where, query)
  return json_of(M.must(M.request("GET", where, { query = query })))
end

--- nil for what is not there.
function M.find(where, query)
  local reply, why, code = M.request("GET", where, { query = query })
  if code == "http_404" and not why:find "M_UNRECOGNIZED" then
    return nil
  end
  return json_of(M.must(reply, why, code))
end

--- With a body, which is JSON.
function M.send(method, where, body)
  return json_of(M.must(M.request(method, where, { json = body })))
end

--- To a file, whole or not at all. nil, message, code when it is refused.
function M.download(where, path)
  return M.request("GET", where, { to_file = path, limit = LARGEST, timeout = 3600 })
end

--- Each element of a long list, a page at a time: list and next are names in its answers.
function M.each(where, query, list, next)
  local page, i = {}, 0
  query.from = 0
  return function()
    i = i + 1
    if not page[i] and query.from then
      local answer = M.get(where, query)
      page, i, query.from = answer[list], 1, answer[next]
    end
    return page[i]
  end
end

--- Is it the id of a user ("@") or a room ("!")? Rooms of version 12 have no server's name.
function M.check_id(sigil, text)
  if text:sub(1, 1) ~= sigil or #text < 2 or #text > 255 or text:find "[%c%s]" then
    error(jobq.discard(("'%s' is no id, expected one like %sabc:example.org"):format(text, sigil)))
  end
  return text
end

return M
