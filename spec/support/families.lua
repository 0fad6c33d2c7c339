--- What specs of handlers/ need: the sample application, and a worker that runs the folder.
--
--     local db = families.database()                          with the schema app, and a few rows
--     local w = families.worker(db, { ["file.root"] = path })     ready; with these settings
--     local job = families.run(db, "file.scan", { path = "a.txt" })   its row, once it has ended
local codec = require("jobq.core").json
local engine = require "support.engine"
local files = require "support.files"

local M = {}

--- As whoever owns an application gives it to the role of its workers.
local GRANTS = [[
  grant usage on schema app to spec_worker;
  grant select, insert, update, delete on all tables in schema app to spec_worker;
  grant usage on all sequences in schema app to spec_worker]]

function M.database()
  local db = engine.database()
  db:query(files.read "handlers/sample/schema.sql")
  db:query(files.read "handlers/sample/data.sql")
  db:query(GRANTS)
  return db
end

--- What JOBQ_FILE_ROOT is to file.root.
local function variable(name)
  return "JOBQ_" .. name:upper():gsub("%W", "_")
end

--- options: those of support/worker.lua.
function M.worker(db, settings, options)
  options = options or {}
  options.env = options.env or {}
  for name, value in pairs(settings or {}) do
    options.env[variable(name)] = tostring(value)
  end
  return engine.worker(db, "handlers/", options)
end

--- more: other fields of db:enqueue, as max_attempts. result is decoded.
function M.run(db, kind, args, more)
  local words = { kind, args = codec.encode(args) }
  for name, value in pairs(more or {}) do
    words[name] = value
  end
  local id = db:enqueue(words)
  db:wait_until(kind .. " has ended",
    "select status in ('completed', 'failed', 'cancelled') from jobq.find($1)", id)
  local job = db:job(id)
  job.result = job.result and codec.decode(job.result)
  return job
end

return M
