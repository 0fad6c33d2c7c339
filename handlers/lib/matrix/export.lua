--- All that a homeserver has of one account, as files in a folder.
---
--- The folder grows file by file, each whole or not there, and the job's checkpoint says where we
--- are. A run that finds the folder of its checkpoint goes on in it. If it is not there (another
--- machine, or somebody has tidied up) all begins anew, in another one.
local jobq = require "jobq"
local matrix = require "lib.matrix.client"

local M = {}

local STALE = 7 * 86400 -- seconds

---- the folder ----

--- Folders of jobs that were cancelled or have failed for good.
local function sweep(root)
  for _, name in ipairs(jobq.must(jobq.fs.list(root))) do
    local path = root .. "/" .. name
    local stat = name:find "^%.export%-" and jobq.fs.stat(path)
    if stat and stat.mtime < os.time() - STALE then
      jobq.must(jobq.fs.remove(path, { recursive = true }))
    end
  end
end

local function begin(job, user)
  local root = jobq.config.matrix.exports
  sweep(root)
  local scratch = ("%s/.export-%d-%s"):format(root, job.id, jobq.crypto.random(6, "hex"))
  local name = user:sub(2):gsub("[^%w.-]", "_")
  jobq.must(jobq.fs.make_dir(scratch .. "/" .. name))
  return { user = user, scratch = scratch, name = name, room = 1, page = 1, media_from = 0,
    counts = { rooms = 0, messages = 0, media = 0, missing = 0 } }
end

--- How far the job is: what the checkpoint keeps.
function M.open(job, user)
  local state = job:last_checkpoint()
  if not state or not state.archive and not jobq.fs.exists(state.scratch) then
    state = begin(job, user)
    job:checkpoint(state)
  end
  return state
end

local function path_of(state, name, ...)
  return ("%s/%s/" .. name):format(state.scratch, state.name, ...)
end

local function make_folder(state, name, ...)
  jobq.must(jobq.fs.make_dir(path_of(state, name, ...)))
end

local function write_json(state, name, value)
  jobq.must(jobq.fs.write(path_of(state, name), jobq.json.encode(value) .. "\n"))
end

--- A value a line.
local function write_lines(path, list)
  local texts = {}
  for i, value in ipairs(list) do
    texts[i] = jobq.json.encode(value) .. "\n"
  end
  jobq.must(jobq.fs.write(path, table.concat(texts)))
end

---- what is asked once ----

local ACCOUNT = {
  ["account.json"] = "/_synapse/admin/v2/users/%s",
  ["devices.json"] = "/_synapse/admin/v2/users/%s/devices",
  ["account_data.json"] = "/_synapse/admin/v1/users/%s/accountdata",
  ["rooms.json"] = "/_synapse/admin/v1/users/%s/memberships",
}

--- Profile, addresses, devices, settings, and in which rooms he is or was.
function M.account(state)
  for name, where in pairs(ACCOUNT) do
    write_json(state, name, matrix.get { where, state.user })
  end
end

--- Their ids in an order that all runs share.
local function rooms_of(state)
  local text = jobq.must(jobq.fs.read(path_of(state, "rooms.json")))
  local ids = {}
  for id in pairs(jobq.must(jobq.json.decode(text)).memberships) do
    ids[#ids + 1] = id
  end
  table.sort(ids)
  return ids
end

---- messages ----

--- One page into one file; says whether it was the last.
local function message_page(state, room_id, filter)
  local page = matrix.find({ "/_synapse/admin/v1/rooms/%s/messages", room_id },
    { dir = "f", from = state.from, limit = jobq.config.matrix.page, filter = filter })
  local events = page and page.chunk or {}
  if events[1] then
    write_lines(path_of(state, "rooms/%05d/messages-%05d.jsonl", state.room, state.page), events)
    state.page = state.page + 1
    state.counts.messages = state.counts.messages + #events
  end
  state.from = page and page["end"]
  return state.from == nil
end

local function room(job, state, room_id, filter)
  local details = matrix.find { "/_synapse/admin/v1/rooms/%s", room_id }
  make_folder(state, "rooms/%05d", state.room)
  write_json(state, ("rooms/%05d/room.json"):format(state.room), details or { room_id = room_id })
  while not message_page(state, room_id, filter) do
    job:checkpoint(state)
  end
  state.counts.rooms = state.counts.rooms + 1
  state.room, state.page = state.room + 1, 1
  job:checkpoint(state)
end

--- all: what others wrote, too.
function M.rooms(job, state, all)
  local ids = rooms_of(state)
  local filter = not all and jobq.json.encode { senders = { state.user } } or nil
  while state.room <= #ids do
    job:progress(0.8 * (state.room - 1) / #ids, ("room %d of %d"):format(state.room, #ids))
    room(job, state, ids[state.room], filter)
  end
end

---- media ----

local function media_path(state, medium)
  local id = medium.media_id:gsub("[^%w_-]", "_")
  local ending = tostring(medium.upload_name):match "%.%w+$" or ""
  return path_of(state, "media/%06d/%s%s", state.media_from, id, ending:sub(1, 9))
end

--- What the homeserver does not give out (its quarantine, lost files) is missing, and no failure.
local function download(job, state, medium)
  local server = state.user:match ":(.*)$"
  local path = media_path(state, medium)
  if jobq.fs.exists(path) then
    return 0 -- of a run before
  end
  local file, why, code = matrix.download(
    { "/_matrix/client/v1/media/download/%s/%s", server, medium.media_id }, path)
  if code == "http_404" or code == "http_403" then
    job.log:warn("media that is not given out", { id = medium.media_id, why = why })
    return 1
  end
  matrix.must(file, why, code)
  return 0
end

local function media_page(job, state)
  local query = { from = state.media_from, limit = jobq.config.matrix.page,
    order_by = "created_ts", dir = "f" }
  local page = matrix.get({ "/_synapse/admin/v1/users/%s/media", state.user }, query)
  local missing = 0
  make_folder(state, "media/%06d", state.media_from)
  for i, medium in ipairs(page.media) do
    missing = missing + download(job, state, medium)
    job:progress(0.8 + 0.15 * (state.media_from + i) / page.total, "media")
  end
  if page.media[1] then
    write_lines(path_of(state, "media/%06d/index.jsonl", state.media_from), page.media)
  end
  state.counts.media = state.counts.media + #page.media - missing
  state.counts.missing = state.counts.missing + missing
  return page.next_token
end

--- What he has uploaded, with an index in each folder.
function M.media(job, state)
  while state.media_from do
    state.media_from = media_page(job, state) or false
    job:checkpoint(state)
  end
end

return M
