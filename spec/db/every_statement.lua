--- A worker that says every statement it has, in a story that holds together: the workers of today
--- and of releases, with the rights of workers.
--
--     every_statement.tell(db, { release = "0.1.0" })   those of that release; nil: of today
--     every_statement.database_as(db, seen)   a database for protocol.worker, as jobq_worker
local files = require "support.files"
local protocol = require "db.protocol"

local M = {}

-- seen gets the texts of all that its connections are asked.
function M.database_as(db, seen)
  return {
    connect = function()
      local conn = db:connect()
      assert(conn:query "set role jobq_worker")
      return setmetatable({
        query = function(_, sql, ...)
          seen[sql] = true
          return conn:query(sql, ...)
        end,
      }, { __index = function(_, name)
        return function(_, ...) return conn[name](conn, ...) end
      end })
    end,
  }
end

-- What a handler has done and waits for.
local function do_steps(w, job)
  w:ask("keep_step", w.id, job.seq, job.slot, "a", "", "1", 5)
  w:ask("keep_checkpoint", w.id, job.seq, job.slot, "2")
  w:ask("keep_sleep", w.id, job.seq, job.slot, "b", 5)
  w:ask("emit_event", "c", "{}", nil)
  w:ask("wait_event", w.id, job.seq, job.slot, "c", "", nil)
  w:ask("steps", job.id)
end

local function tell_limits(db, w)
  db:query "select jobq.set_limit('l', kind => 'c', rate => 1)"
  w:ask("hold_limit", "l", 0, "")
  w:ask("use_limit", "l", 1, "")
end

local function run_jobs(db, w, id)
  assert(w:claim_one().id == id)
  assert(#w:ask("claimed", w.id, 1) == 1)
  w:ask("write_logs", { id }, { 1 }, { 5 }, { 1 }, { "hi" }, { "" })
  for _ = 1, 2 do
    w:ask("write_progress", w.id, { 1 }, { 1 }, { 0.5 }, { 5 }, { "half" })
  end
  w:ask("sweep_progress", w.id)
  w:ask("enqueue", "b", "{}", '{"unique_key": "k"}')
  w:finish(w:claim_one())
  w:settle { { { seq = 1, slot = 1 }, "retry", error = "boom" } }
  w:ask("wake_lanes", w:lanes())
  w:ask("enqueue", "b", "{}", nil)
  w:ask("enqueue_many", "b", { "{}", "{}" }, nil)
  w:ask("result", id)
  local batch = w:value("open_batch", "n", nil, nil, nil, nil, nil, nil)
  w:ask("close_batch", batch)
  local jobs = w:claim(3)
  do_steps(w, jobs[1])
  w:ask("complete", w.id, jobs[1].seq, jobs[1].slot, 5, "{}")
  db:query("select jobq.cancel($1)", jobs[2].id)
  w:finish(jobs[2], "retry", { error = "boom" })
  assert(w:value("reconcile", w.id, {}, w.seq) == 1)
end

local function sleep_and_wake(w)
  w:ask("fall_asleep", w.id, w:lanes())
  w:ask("may_sleep", w:value "mark")
  w:ask("next_due", w:lanes())
  w:ask("withdraw", w.id)
end

local function tend(w)
  w:ask("heartbeat", w.id, 1, 1, 0, 0, 1)
  w:ask("recover", 300000, {})
  w:ask "advance"
  w:ask "worker_locks"
  w:ask("take_name", "spec")
  w:ask("drained", w.id)
  w:ask("report_load", w.id, "does not load")
  w:ask "tend"
  w:ask "schema_state"
end

-- What came later than its release a worker does not say.
local function say_what_there_is(w, release)
  local ask = w.ask
  function w:ask(name, ...)
    if not files.exists(("%s/%s.sql"):format(protocol.folder(release), name)) then
      return {}
    end
    return ask(self, name, ...)
  end
end

function M.tell(db, options)
  local seen = {}
  local release = options and options.release
  local id = db:enqueue { "a" }
  local w = protocol.worker(M.database_as(db, seen),
    { kinds = { "a", { "b", queue = "mail" } }, release = release })
  say_what_there_is(w, release)
  w:ask "listen_jobs"
  w:ask "listen_control"
  w:ask("limit_session", "0", "0")
  w:ask("declare_limits", w.id, { "a", "b" }, { '[{"name": "a", "concurrency": 1}]', "" },
    { "", "" })
  w:ask("declare_limits", w.id, { "a", "b" }, { "", "" }, { "", "" })
  w:ask("declare_schedules", w.id, { "a", "b" }, { '{"expression": "@yearly"}', "" }, { "", "" })
  run_jobs(db, w, id)
  sleep_and_wake(w)
  tell_limits(db, w)
  tend(w)
  w:ask("stop", w.id)
  for _, path in ipairs(files.glob(protocol.folder(release) .. "/*.sql")) do
    assert(seen[files.read(path)], path .. " was not said")
  end
end

return M
