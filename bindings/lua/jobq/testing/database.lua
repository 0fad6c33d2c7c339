--- A private PostgreSQL for specs, and a fresh, migrated database in it for each spec that asks.
---
--- The server is in .jobq/spec-pg and stays for all files of a run; JOBQ_SPEC_FOLDER names another
--- folder, for runs beside each other, JOBQ_SPEC_DSN another server, with a role that may make
--- databases.
local core = require "jobq.core"

local M = {}

local FOLDER = ".jobq/spec-pg"
local KEPT = "jobq.testing.server" -- in package.preload: busted loads us anew for each file

local pg = core.pg

local Database = {}
Database.__index = Database

local function query(conn, sql, ...)
  local rows, message, sqlstate = conn:query(sql, ...)
  if not rows then
    error(("%s (%s)\nin: %s"):format(message, sqlstate, sql), 0)
  end
  return rows
end

--- Rows; raises what goes wrong.
function Database:query(sql, ...)
  self.conn = self.conn or assert(pg.connect(self.dsn))
  return query(self.conn, sql, ...)
end

--- The only column of the first row.
function Database:value(sql, ...)
  local row = self:query(sql, ...)[1]
  return row and select(2, next(row))
end

local function close(database)
  if database.conn then
    database.conn:close()
    database.conn = nil
  end
end

--- The same server, another database.
local function dsn_of(dsn, name)
  local place, rest = dsn:match("^(postgres%a*://[^/?]*)/?[^?]*(.*)$")
  return place and place .. "/" .. name .. rest or ("%s dbname=%s"):format(dsn, name)
end

--- Databases of runs that were killed; a name tells the session that has made it.
local function sweep(conn)
  local rows = query(conn, [[
    select d.datname::text as name from pg_database d
    where d.datname ~ '^jobq_spec_\d+_' and not exists (
      select from pg_stat_activity a where a.pid::text = split_part(d.datname, '_', 3))]])
  for _, row in ipairs(rows) do
    query(conn, ("drop database if exists %s with (force)"):format(row.name))
  end
end

local function start()
  local server = { count = 0, dsn = os.getenv "JOBQ_SPEC_DSN" }
  if not server.dsn then
    local embedded, message = pg.embedded_open(os.getenv "JOBQ_SPEC_FOLDER" or FOLDER)
    server.embedded = embedded or error("t.database(): " .. message, 0)
    server.dsn = embedded:conninfo()
  end
  local conn, message = pg.connect(server.dsn)
  server.conn = conn or error("t.database(): " .. message, 0)
  sweep(conn)
  server.prefix = "jobq_spec_" .. query(conn, "select pg_backend_pid() as pid")[1].pid
  server.template = server.prefix .. "_template"
  query(conn, "create database " .. server.template)
  local applied, why = pg.migrate_up(dsn_of(server.dsn, server.template))
  return applied and server or error("t.database(): " .. why, 0)
end

local function the_server()
  local kept = package.preload[KEPT]
  if not kept then
    local server = start()
    kept = function() return server end
    package.preload[KEPT] = kept
  end
  return kept()
end

local function open_like(template)
  local server = the_server()
  server.count = server.count + 1
  local name = ("%s_%d"):format(server.prefix, server.count)
  query(server.conn, ("create database %s template %s"):format(name, template))
  return setmetatable({ name = name, dsn = dsn_of(server.dsn, name) }, Database)
end

--- A fresh database.
function M.open()
  return open_like(the_server().template)
end

local END_SESSIONS = [[
  select pg_terminate_backend(pid), pg_sleep(0.002) from pg_stat_activity
  where datname = $1::text and pid <> pg_backend_pid()]]

--- Those of others, as if they had died with their process.
local function end_sessions(conn, name)
  while #query(conn, END_SESSIONS, name) > 0 do end
end

--- What a run that was killed had begun is undone, and its locks are free.
function M.end_runs(database)
  close(database)
  end_sessions(the_server().conn, database.name)
end

--- Another one with all that is in this one. Whoever is connected loses the connection.
function M.copy(database)
  M.end_runs(database)
  return open_like(database.name)
end

--- Ends it, whoever is still connected.
function M.drop(database)
  close(database)
  query(the_server().conn, ("drop database if exists %s with (force)"):format(database.name))
end

--- At the end of a run.
function M.stop()
  local kept = package.preload[KEPT]
  if kept then
    local server = kept()
    package.preload[KEPT] = nil
    query(server.conn, "drop database " .. server.template)
    server.conn:close()
    if server.embedded then
      server.embedded:close()
    end
  end
end

--- The jobs that wait, oldest first.
function M.pending(database)
  local jobs = database:query([[
    select id, kind, args::text as args, queue, priority, attempt, max_attempts, tags
    from jobq.job where status = 'pending' order by id]])
  for _, job in ipairs(jobs) do
    job.args = core.json.decode(job.args)
  end
  return jobs
end

function M.remove(database, id)
  database:query("delete from jobq.ready where id = $1::bigint", id)
end

return M
