--- A Matrix homeserver (Synapse): rooms that nobody needs, all that there is of an account, names
--- and avatars. Settings: the group matrix in config.lua. Where the homeserver asks for a pause
--- (M_LIMIT_EXCEEDED) the job makes one; what it forbids ends the job.
local archive = require "lib.matrix.archive"
local export = require "lib.matrix.export"
local jobq = require "jobq"
local matrix = require "lib.matrix.client"
local profiles = require "lib.matrix.profiles"
local rooms = require "lib.matrix.rooms"

local HOUR = 3600 -- seconds

--- A homeserver that restarts is back in minutes, one that is upgraded in an hour.
local function retry_delay(attempt)
  return math.min(15 * 4 ^ (attempt - 1), HOUR)
end

---- room_cleanup ----

local DONE = { evict = "evicted", delete = "deleted", purge = "purged" }

local TRIES = 3 -- a homeserver that is busy gives up on a deletion, and does the next one

--- How many users it has evicted; 0 too, if the room has gone by itself. nil: it cannot be done.
local function delete(job, state, room)
  for _ = 1, TRIES do
    state.delete_id = state.delete_id or rooms.start(room.id, job.args)
    job:checkpoint(state)
    if not state.delete_id then
      return 0
    end
    local evicted, why = rooms.follow(state.delete_id)
    if evicted then
      return evicted
    end
    job.log:warn("the homeserver gave up: " .. why, room)
    state.delete_id = nil
  end
end

--- Ends one room, and notes what came of it.
local function remove(job, state, room)
  local evicted = delete(job, state, room)
  if evicted then
    state.removed, state.evicted = state.removed + 1, state.evicted + evicted
    job.log:info(DONE[job.args.action], room)
  else
    table.insert(state.failed, room.id)
    job.log:error("the homeserver could not", room)
  end
  state.next, state.delete_id = state.next + 1, nil
  job:checkpoint(state)
end

local function remove_all(job, found)
  local state = job:last_checkpoint() or { next = 1, removed = 0, evicted = 0, failed = {} }
  for i = state.next, #found do
    job:progress((i - 1) / #found, found[i].id)
    remove(job, state, found[i])
  end
  if state.failed[1] then
    return jobq.discard(("%d of %d rooms are still there, its log says why: %s"):format(
      #state.failed, #found, table.concat(state.failed, " ")))
  end
  return jobq.done { found = #found, removed = state.removed, evicted = state.evicted }
end

local function only_tell(job, found)
  for _, room in ipairs(found) do
    job.log:info("would " .. job.args.action, room)
  end
  return jobq.done { dry_run = true, found = #found, rooms = found }
end

---- user_export ----

--- Where the archive goes, named after the user and the job unless a name was asked for.
local function target(job, user)
  local root = jobq.config.matrix.exports
  jobq.must(jobq.fs.make_dir(root))
  local name = job.args.archive
    or ("%s-%d.tar.zst"):format(user:sub(2):gsub("[^%w.-]", "_"), job.id)
  local path, why, code = jobq.fs.below(root, name)
  if code == "outside" or code == "ENOENT" then
    error(jobq.discard(why))
  end
  return jobq.must(path, why, code)
end

--- What is done is behind the checkpoint: a later run does the rest.
local function gather(job, state, path)
  export.account(state)
  export.rooms(job, state, job.args.messages == "all")
  export.media(job, state)
  state.archive = archive.make(state.scratch, state.name, path, {
    user = state.user, homeserver = jobq.config.matrix.homeserver, counts = state.counts,
    messages = job.args.messages, made_at = os.date "!%Y-%m-%dT%H:%M:%SZ",
  })
  job:checkpoint(state)
end

---- profile_sync ----

local function sync_page(job, state, people)
  for _, person in ipairs(people) do
    local what, details = profiles.sync(person, job.args.dry_run)
    state[what] = state[what] + 1
    if what ~= "same" then
      job.log:info(what .. " " .. person.matrix_id, details)
    end
    state.after, state.checked = person.matrix_id, state.checked + 1
  end
  job:checkpoint(state)
end

local function start_of_sync(only)
  return { after = "", checked = 0, same = 0, changed = 0, missing = 0, refused = 0,
    total = profiles.count(only) }
end

return {
  room_cleanup = {
    summary = "remove rooms that are empty, inactive or listed, once dry_run is false",
    queue = "matrix",
    timeout = HOUR, -- of looking at many rooms; while one is removed the job may wait longer
    max_attempts = 5,
    retry_delay = retry_delay,
    args = {
      dry_run = { "boolean", default = true, summary = "only tells which" },
      rooms = { "string[]?", summary = "ids" },
      empty = { "boolean", default = false, summary = "those without a member of this homeserver" },
      inactive_days = { "integer?", min = 1, summary = "those that were silent for so long" },
      action = { "string", enum = { "evict", "delete", "purge" }, default = "delete",
        summary = "evict: members leave; delete: and all of it goes; purge: even if one stays" },
      block = { "boolean", default = false, summary = "nobody can join it again" },
      limit = { "integer", min = 1, max = 900, default = 100, summary = "of rooms, in one job" },
    },

    --- Idempotent: a room that is gone is not removed again.
    run = function(job)
      local args = job.args
      if not (args.rooms or args.empty or args.inactive_days) then
        return jobq.discard "which rooms? expected rooms, empty or inactive_days"
      end
      local found = jobq.step("find", function() return rooms.find(args) end)
      return args.dry_run and only_tell(job, found) or remove_all(job, found)
    end,
  },

  user_export = {
    summary = "all that the homeserver has of an account, as one archive",
    queue = "matrix",
    timeout = 6 * HOUR, -- of one run; the next goes on where it was
    max_attempts = 10, -- an export of a day should outlive a bad night
    retry_delay = retry_delay,
    args = {
      user = { "string", max = 255, summary = "@ann:example.org" },
      messages = { "string", enum = { "own", "all" }, default = "own",
        summary = "all: those of others in his rooms, too" },
      archive = { "string?", min = 1, max = 255, summary = "its path below matrix.exports" },
    },

    --- Idempotent: the archive is replaced.
    run = function(job)
      local user = matrix.check_id("@", job.args.user)
      local path = target(job, user)
      matrix.get { "/_synapse/admin/v2/users/%s", user } -- no such user: nothing has begun
      local state = export.open(job, user)
      if not state.archive then
        gather(job, state, path)
      end
      jobq.must(jobq.fs.remove(state.scratch, { recursive = true }))
      return jobq.done { archive = state.archive, counts = state.counts }
    end,
  },

  profile_sync = {
    summary = "names and avatars of accounts, as the application has them",
    queue = "matrix",
    timeout = HOUR, -- of one run; the next goes on where it was
    max_attempts = 5,
    retry_delay = retry_delay,
    args = {
      users = { "string[]?", summary = "only these, by their Matrix ids" },
      dry_run = { "boolean", default = false },
    },

    --- Idempotent: only what differs is set.
    run = function(job)
      local only = job.args.users
      local state = job:last_checkpoint() or start_of_sync(only)
      local people = profiles.people(state.after, only)
      while people[1] do
        sync_page(job, state, people)
        job:progress(math.min(state.checked / state.total, 1), state.after)
        people = profiles.people(state.after, only)
      end
      state.after, state.total = nil, nil
      return jobq.done(state)
    end,
  },
}
