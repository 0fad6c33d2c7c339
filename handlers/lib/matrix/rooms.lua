--- Rooms of a homeserver: which of them nobody needs, and their end.
local jobq = require "jobq"
local matrix = require "lib.matrix.client"

local M = {}

local DAY = 86400 -- seconds
local POLLS = { 0.1, 0.2, 0.5, 1, 2, 4, 8 } -- seconds; later ones are
local LATER = 30

---- which ----

--- Unix seconds of what was said last; where nobody has said anything, of the room's first event.
local function last_active(room)
  local filter = jobq.json.encode { types = jobq.config.matrix.activity }
  local page = matrix.find({ "/_synapse/admin/v1/rooms/%s/messages", room.room_id },
    { dir = "b", limit = 1, filter = filter })
  local event = page and page.chunk[1] or matrix.find(
    { "/_synapse/admin/v1/rooms/%s/timestamp_to_event", room.room_id }, { ts = 0, dir = "f" })
  return event and event.origin_server_ts / 1000
end

--- Why it should go, nil if it should stay.
local function reason(room, args, now)
  if args.empty and room.joined_local_members == 0 then
    return "empty"
  elseif args.inactive_days then
    local last = last_active(room)
    return last and last < now - args.inactive_days * DAY and "inactive" or nil
  end
end

local function as_text(value)
  return type(value) == "string" and value or nil -- JSON's null is none
end

local function entry(room, why)
  return { id = room.room_id, name = as_text(room.name), why = why,
    members = room.joined_local_members }
end

local function kept()
  local set = {}
  for _, id in ipairs(jobq.config.matrix.keep_rooms or {}) do
    set[id] = true
  end
  return set
end

--- Those that args.rooms names and that are there.
local function listed(args, is_kept, found)
  for _, id in ipairs(args.rooms or {}) do
    local room = matrix.find { "/_synapse/admin/v1/rooms/%s", matrix.check_id("!", id) }
    if room and not is_kept[id] and #found < args.limit then
      found[#found + 1] = entry(room, "listed")
      is_kept[id] = true -- it is here already
    end
  end
end

--- At most args.limit rooms that are listed, empty or inactive: { id, name, why, members }.
function M.find(args)
  local found, is_kept, now = jobq.json.array {}, kept(), os.time()
  listed(args, is_kept, found)
  if not (args.empty or args.inactive_days) then
    return found
  end
  for room in matrix.each({ "/_synapse/admin/v1/rooms" }, {}, "rooms", "next_batch") do
    local why = not is_kept[room.room_id] and #found < args.limit and reason(room, args, now)
    if why then
      found[#found + 1] = entry(room, why)
    end
  end
  return found
end

---- their end ----

--- Of a deletion that an earlier run has started: one under way, or how the room went.
local function earlier(room_id, is_gone)
  local answer = matrix.find { "/_synapse/admin/v2/rooms/%s/delete_status", room_id }
  for _, task in ipairs(answer and answer.results or {}) do
    local is_under_way = task.status == "active" or task.status == "scheduled"
    if is_under_way or is_gone and task.status == "complete" then
      return task.delete_id
    end
  end
end

--- Starts it, or finds it started; nil if the room is gone and nobody knows how.
function M.start(room_id, args)
  local is_gone = not matrix.find { "/_synapse/admin/v1/rooms/%s", room_id }
  local id = earlier(room_id, is_gone)
  if id or is_gone then
    return id
  end
  return matrix.send("DELETE", { "/_synapse/admin/v2/rooms/%s", room_id }, {
    block = args.block,
    purge = args.action ~= "evict",
    force_purge = args.action == "purge",
  }).delete_id
end

--- Long waits give up the run: the job comes back here.
local function pause(delete_id, turn)
  if POLLS[turn] then
    return jobq.sleep(POLLS[turn])
  end
  local time = os.time() + LATER
  jobq.sleep_until(("%s until %d"):format(delete_id, time), time)
end

--- Waits for its end: how many users it has evicted, or nil and why the homeserver gave up.
function M.follow(delete_id)
  local turn = 0
  while true do
    local task = matrix.get { "/_synapse/admin/v2/rooms/delete_status/%s", delete_id }
    if task.status == "complete" then
      local what = task.shutdown_room
      return type(what) == "table" and #what.kicked_users or 0 -- JSON's null is no table
    elseif task.status == "failed" or task.status == "cancelled" then
      return nil, task.error or task.status
    end
    turn = turn + 1
    pause(delete_id, turn)
  end
end

return M
