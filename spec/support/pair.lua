--- A primary and its synchronous standby, real ones: what is acknowledged is on both.
--
--     local pair = require "support.pair"
--
--     local p = pair.start()
--     finally(function() p:close() end)
--     p.db                 a migrated database; its dsn names both servers and wants the primary
--     p:dsn "b"            how to connect to one of them, whatever it is
--     p:kill()             kill -9 of the whole primary
--     p:promote()          the standby is the primary from here on
local uv = require "luv"
local pg = require("jobq.core").pg
local database = require "support.database"
local files = require "support.files"
local postgres = require "support.postgres"
local process = require "support.process"

local Pair = {}
Pair.__index = Pair

local M = {}

local function children(pid)
  return (files.read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""):gmatch "%d+"
end

local function try(dsn, sql)
  local conn <close>, message = pg.connect(dsn)
  if not conn then
    return nil, message
  end
  local rows, why = conn:query(sql)
  return rows and (rows[1] or {}), why
end

function Pair:ask(name, sql)
  local row, message = try(self:dsn(name), sql)
  return row or error(("%s: %s"):format(name, message), 2)
end

function Pair:dsn(name)
  return ("host=%s/%s dbname=postgres user=postgres"):format(self.dir, name)
end

function Pair:launch(name)
  local dir = ("%s/%s"):format(self.dir, name)
  local words = postgres.unprivileged {
    postgres.program "postgres", "-D", dir .. "/data", "-k", dir, "-c", "listen_addresses=",
    "-c", "logging_collector=off", "-c", "cluster_name=" .. name, "-c", "shared_buffers=16MB",
    "-c", "dynamic_shared_memory_type=mmap", -- files of its folder, which go with it
  }
  local log = assert(uv.fs_open(dir .. "/log", "a", 420))
  local server = {}
  server.handle, server.pid = assert(uv.spawn(table.remove(words, 1), {
    args = words, stdio = { nil, log, log }, cwd = dir, detached = true,
  }, function()
    server.handle:close()
    server.handle = nil
  end))
  uv.fs_close(log)
  uv.unref(server.handle)
  self.servers[name] = server
  process.wait_until(function()
    return not server.handle or try(self:dsn(name), "select")
  end, "postgres to start in " .. dir)
  if not server.handle then
    error(("postgres did not start:\n%s"):format(files.read(dir .. "/log")), 2)
  end
end

local function folder(self, name)
  files.run(postgres.unprivileged { "mkdir", ("%s/%s"):format(self.dir, name) }, self.dir)
  return ("%s/%s/data"):format(self.dir, name)
end

-- Of a primary that never ran, so a plain copy will do: not every version here has pg_basebackup.
local function make_standby(self)
  local a, b = self.dir .. "/a/data", folder(self, "b")
  files.run(postgres.unprivileged { "cp", "-a", a, b }, self.dir)
  local settings = assert(io.open(b .. "/postgresql.auto.conf", "a"))
  settings:write(("primary_conninfo = 'host=%s/a user=postgres'\n"):format(self.dir))
  settings:close()
  files.run(postgres.unprivileged { "touch", b .. "/standby.signal" }, self.dir)
end

-- The standby is made before the primary waits for one, else nothing would commit.
function M.start()
  local self = setmetatable({ dir = postgres.folder(), servers = {} }, Pair)
  files.run(postgres.unprivileged {
    postgres.program "initdb", "--no-sync", "--auth=trust", "--username=postgres",
    "--encoding=UTF8", "--locale=C.UTF-8", "-D", folder(self, "a"),
  }, self.dir)
  make_standby(self)
  self:launch "a"
  self:launch "b"
  self:ask("a", "alter system set synchronous_standby_names = '*'")
  self:ask("a", "alter system set synchronous_commit = 'remote_apply'")
  self:ask("a", "select pg_reload_conf()")
  process.wait_until(function()
    local sql = "select count(*) as n from pg_stat_replication where sync_state = 'sync'"
    return self:ask("a", sql).n == 1
  end, "the standby to be a synchronous one")
  local dsn = ("host=%s/a,%s/b dbname=postgres user=postgres target_session_attrs=read-write")
  self.db = database.new("postgres", dsn:format(self.dir, self.dir))
  assert(pg.migrate_up(self.db.dsn))
  return self
end

local function wait_for_end(server)
  uv.ref(server.handle) -- else a loop without other handles does not turn
  process.wait_until(function() return not server.handle end, "the end of a server")
end

-- Who is killed leaves a segment of shared memory, which no folder holds.
local function remove_segment(pid_file)
  local segment = pid_file:match "\n *%d+ +(%d+) *\n" -- of the line with its key, too
  files.run { "ipcrm", "-m", segment }
end

-- A process of the server outlives its head for a moment, and could still acknowledge something.
function Pair:kill()
  local server = self.servers.a
  local pid_file = files.read(self.dir .. "/a/data/postmaster.pid")
  local backends = {}
  self.db:close()
  uv.kill(server.pid, "sigstop") -- starts no more of them
  for pid in children(server.pid) do
    table.insert(backends, tonumber(pid))
  end
  for _, pid in ipairs(backends) do
    uv.kill(pid, "sigkill")
  end
  uv.kill(server.pid, "sigkill")
  wait_for_end(server)
  remove_segment(pid_file)
end

function Pair:promote()
  assert(self:ask("b", "select pg_promote(true, 30) as done").done, "the standby was not promoted")
end

function Pair:close()
  self.db:close()
  for _, server in pairs(self.servers) do
    if server.handle then
      server.handle:kill "sigquit"
      wait_for_end(server)
    end
  end
  files.remove(self.dir)
end

return M
