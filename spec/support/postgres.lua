--- One private PostgreSQL for a run of busted, and a fresh database for each spec that asks.
--
--     local postgres = require "support.postgres"
--
--     describe("enqueue", function()
--       it("answers the id", function()
--         local db = postgres.database()          -- migrated, empty, this spec's own
--         local id = db:value("select jobq.enqueue('email.send')")
--         assert.equal("pending", db:job(id).status)
--       end)
--     end)
--
-- Run them with LUA_CPATH="build/lua/?.so;;" lua5.4 "$(command -v busted)" --run=db.
--
-- The server starts with the first database that is asked for (about 1 s), listens on a socket in a
-- folder of its own, and goes with the run, also when a spec fails or busted is killed. A database
-- takes some 50 ms. One made inside `it` goes with that spec, one made elsewhere (setup,
-- before_each) with its file.
--
-- postgres.database()        a database with all migrations
-- postgres.database "empty"  one without
-- postgres.restart()         stops the server at once, as in a crash, and starts it again; "fast":
--                            in order, but cutting all connections, as pg_ctl restart -m fast
-- postgres.stop() .start()   the two halves of that
-- postgres.crash(pid)        kill -9 of one of its backends
-- postgres.program(name)     where initdb, postgres are; no other program is there in every version
-- postgres.folder()          a new one for a server, swept when its busted was killed
-- postgres.unprivileged(w)   words that run w as who may run a server, and end it with us
--
-- Its owner is postgres; support/worker.lua and support/jobq.lua start programs as users that are
-- only in jobq_worker and in jobq_admin.
--
-- What a database can do is in support/database.lua: query, value, row, wait_until, connect, ...
--
-- postgres.on_disk = true    before the first: not in memory, so that commits take their time
--
-- JOBQ_SPEC_DURABLE=1 leaves fsync on. Engine specs always do: they restart servers.
-- JOBQ_SPEC_POSTGRES=FOLDER: programs of a server that is not Debian's (scripts/test.d/postgres).
require "support.build" -- says so if there is none

local uv = require "luv"
local pg = require("jobq.core").pg
local database = require "support.database"
local files = require "support.files"

local M = {}

local MIGRATIONS = "sql/migrations"
local TEMPLATE = "jobq_template"
local START_SECONDS = 120 -- a machine may be busy; a server that ends is noticed at once
local MEMORY, DISK = "/dev/shm", "/tmp"
local ENOUGH_BYTES = 2 << 30
local server = nil -- { dir, handle, serial, open = { database objects } }
local in_test = false

function M.program(program)
  local chosen = os.getenv "JOBQ_SPEC_POSTGRES"
  for _, dir in ipairs(chosen and { chosen } or files.glob "/usr/lib/postgresql/*/bin") do
    if files.exists(dir .. "/" .. program) then
      return dir .. "/" .. program
    end
  end
  return program
end

-- PostgreSQL does not run as root, and must not outlive us.
function M.unprivileged(args)
  local words = { "setpriv" }
  if uv.getuid() == 0 then
    words = { "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups" }
  end
  table.insert(words, "--pdeathsig=INT")
  return table.move(args, 1, #args, #words + 1, words)
end

local function log_tail()
  local text = files.read(server.dir .. "/log") or ""
  return text:sub(-2000)
end

local function connect(name)
  return pg.connect(("host=%s dbname=%s user=postgres"):format(server.dir, name))
end

local function wait_until_up()
  local deadline = uv.hrtime() + START_SECONDS * 1e9
  repeat
    local conn = connect "postgres"
    if conn then
      return conn
    end
    uv.run("nowait")
    if not server.handle then
      break
    end
    uv.sleep(10)
  until uv.hrtime() > deadline
  error("postgres did not start:\n" .. log_tail())
end

-- The server is our child, so that we notice its end; nothing here needs pg_ctl.
local function launch()
  local args = M.unprivileged {
    M.program "postgres", "-D", server.dir .. "/data", "-k", server.dir,
    "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "logging_collector=off",
    "-c", "fsync=" .. (M.durable and "on" or "off"), "-c", "log_min_messages=error",
    "-c", "shared_buffers=64MB",
  }
  local program = table.remove(args, 1)
  local log = assert(uv.fs_open(server.dir .. "/log", "a", 420))
  local handle, pid = assert(uv.spawn(program, {
    args = args, stdio = { nil, log, log }, cwd = server.dir, detached = true,
  }, function()
    server.handle:close()
    server.handle = nil
  end))
  server.handle, server.pid = handle, pid
  uv.fs_close(log)
  uv.unref(server.handle)
  server.conn = wait_until_up()
end

local function halt(signal)
  if server.conn then
    server.conn:close()
    server.conn = nil
  end
  if server.handle then
    server.handle:kill(signal)
    while server.handle do
      uv.ref(server.handle)
      uv.run("once")
    end
  end
end

local function run_migrations(dsn)
  if pg.migrate_up then
    assert(pg.migrate_up(dsn))
    return
  end
  local conn <close> = assert(pg.connect(dsn))
  for _, path in ipairs(files.glob(MIGRATIONS .. "/*.sql")) do
    local ok, message = conn:query(files.read(path))
    assert(ok, ("%s: %s"):format(path, message))
  end
end

-- Folders of runs that were killed before they could clean up: their owner's pid is in the name.
local function sweep()
  for _, parent in ipairs { MEMORY, DISK } do
    for _, dir in ipairs(files.glob(parent .. "/jobq-spec-*")) do
      local pid = tonumber(dir:match "/jobq%-spec%-(%d+)%-")
      if pid and not uv.kill(pid, 0) then
        files.remove(dir)
      end
    end
  end
end

-- In memory fsync costs nothing and a database takes 50 ms instead of seconds.
local function place()
  if M.on_disk then
    return DISK
  end
  local stat = uv.fs_statfs(MEMORY)
  local free = stat and stat.bavail * stat.bsize or 0
  return free > ENOUGH_BYTES and MEMORY or DISK
end

local function admin(sql)
  assert(server.conn:query(sql))
end

function M.folder()
  sweep()
  local dir = assert(uv.fs_mkdtemp(("%s/jobq-spec-%d-XXXXXX"):format(place(), uv.os_getpid())))
  if uv.getuid() == 0 then
    local uid, gid = files.user "postgres"
    assert(uv.fs_chown(dir, uid, gid))
  end
  return dir
end

local function create()
  server = { serial = 0, open = {}, dir = M.folder() }
  files.run(M.unprivileged {
    M.program "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
    "--locale=C.UTF-8", "-D", server.dir .. "/data",
  }, server.dir)
  launch()
end

-- Who our programs are in a migrated database: what they do needs no more than the rights of their
-- roles. Handlers also reach the tables of the spec, as those of an application.
local function make_users()
  local conn <close> = connect(TEMPLATE)
  assert(conn:query [[
    create role spec_worker login in role jobq_worker;
    create role spec_admin login in role jobq_admin;
    alter default privileges in schema public grant all on tables to spec_worker;
  ]])
end

local function template()
  if not server.template then
    admin("create database " .. TEMPLATE)
    run_migrations(M.dsn(TEMPLATE))
    make_users()
    server.template = true
  end
  return TEMPLATE
end

-- Databases of specs that are over, after_each included; all of the file's if `everything`.
local function sweep_databases(everything)
  M.before_sweep(everything)
  for i = #(server and server.open or {}), 1, -1 do
    local db = server.open[i]
    if db.is_over or everything then
      table.remove(server.open, i)
      db:close()
      if server.conn then
        admin(("drop database if exists %s with (force)"):format(db.name))
      end
    end
  end
end

--- Called before databases go; support/engine.lua ends the processes that use them.
function M.before_sweep(_everything) end

--- How to connect to the database of that name; as its owner unless a user is named.
function M.dsn(name, user)
  return ("host=%s dbname=%s user=%s"):format(server.dir, name, user or "postgres")
end

--- A database of this spec's own: migrated, or "empty".
function M.database(state)
  if not server then
    create()
  end
  sweep_databases(false)
  server.serial = server.serial + 1
  local name = "spec_" .. server.serial
  local from = state == "empty" and "template1" or template()
  admin(("create database %s template %s"):format(name, from))
  local db = database.new(name, M.dsn(name))
  db.in_test = in_test
  if state ~= "empty" then
    db.worker_dsn, db.admin_dsn = M.dsn(name, "spec_worker"), M.dsn(name, "spec_admin")
  end
  table.insert(server.open, db)
  return db
end

--- As in a crash: every connection is cut, unsynced work is lost. "fast": in order.
function M.stop(mode)
  halt(mode == "fast" and "sigint" or "sigquit")
end

function M.start()
  launch()
  for _, db in ipairs(server.open) do
    db:close()
  end
end

--- Kills one of its processes with -9: the server ends all the others, too, and recovers.
function M.crash(pid)
  server.conn:close()
  for _, db in ipairs(server.open) do
    db:close()
  end
  assert(uv.kill(pid, "sigkill"))
  while uv.kill(pid, 0) do
    uv.sleep(1) -- until the server has buried it, it goes on as if nothing had happened
  end
  server.conn = wait_until_up()
end

function M.restart(mode)
  M.stop(mode)
  M.start()
end

--- Ends the server and removes its folder; the run's end calls it.
function M.remove()
  if server then
    for _, db in ipairs(server.open) do
      db:close()
    end
    halt("sigint")
    files.remove(server.dir)
    server = nil
  end
end

M.durable = os.getenv "JOBQ_SPEC_DURABLE" == "1"

local loaded, busted = pcall(require, "busted")
if loaded and busted.subscribe then
  busted.subscribe({ "test", "start" }, function()
    in_test = true
    return nil, true
  end)
  busted.subscribe({ "test", "end" }, function()
    in_test = false
    for _, db in ipairs(server and server.open or {}) do
      db.is_over = db.is_over or db.in_test
    end
    return nil, true
  end)
  busted.subscribe({ "file", "end" }, function()
    sweep_databases(true)
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    M.remove()
    return nil, true
  end)
end

-- Where busted leaves without saying so. The loop is no longer safe to use then.
M.guard = setmetatable({}, {
  __gc = function()
    if server then
      os.execute(([[kill -QUIT %d; for i in 1 2 3 4 5 6 7 8 9; do
        [ -e '%s/data/postmaster.pid' ] && sleep 0.1; done; rm -rf '%s']]):format(
        server.pid, server.dir, server.dir))
    end
  end,
})

return M
