--- Runs the blocks of a page from top to bottom in a folder and a database of its own.
--
--     snippets.run(page)          raises with file and line where one does not do what it says
--     snippets.is_runnable(block) a picture or a text is not
--
-- What each kind does:
--   named (first line "-- handlers/x.lua")  is written there; a handler is checked at once
--   console     each command is run and what it prints compared (support/transcript.lua)
--   sh          run as one script
--   sql         run by psql
--   lua         a file that returns handlers is checked, anything else is the body of a run
--   python, javascript, go     run with the clients of scripts/packages
--   text, none  not run
-- Notes above a block (support/page.lua): "not run: WHY"; "fails: STATUS"; "background": a worker
-- that goes on until the page ends, "background: ..." until a command of the page ends it;
-- "sql: STATEMENT": run before, what a reader would have. "page: own database" leaves the page
-- without a database of ours: jobq makes its private one. "page: our handlers" puts a copy of
-- handlers/ into its folder. "page: a homeserver" has a Synapse (support/synapse.lua) as its
-- settings matrix.homeserver and matrix.token, with @ann:example.org, a room of hers, and one that
-- nobody is in.
local build = require "support.build"
local engine = require "support.engine"
local files = require "support.files"
local transcript = require "support.transcript"
local uv = require "luv"

local M = {}

local QUIET = { [""] = true, text = true }
local CLIENTS = "build/clients"

function M.is_runnable(block)
  return not QUIET[block.kind]
end

local function top()
  return assert(uv.cwd())
end

local function environment(db, dir)
  local path = { build.path(), "/usr/lib/go-1.19/bin", "/usr/bin", "/bin", os.getenv "PATH" }
  local env = {
    PATH = table.concat(path, ":"), HOME = dir, NO_COLOR = "1", PGOPTIONS = "-c timezone=UTC",
    JOBQ_LOG_FORMAT = "text", NODE_PATH = ("%s/%s/node_modules"):format(top(), CLIENTS),
    GOPATH = "/usr/share/gocode", GO111MODULE = "off", GOTOOLCHAIN = "local", GOFLAGS = "",
    GOCACHE = ("%s/%s/go"):format(top(), CLIENTS),
  }
  if db then
    env.JOBQ_DSN = db.dsn
    env.PGHOST, env.PGDATABASE, env.PGUSER = db.dsn:match "host=(%S+) dbname=(%S+) user=(%S+)"
  end
  return env
end

local Session = {}
Session.__index = Session

function Session:fail(block, text)
  error(("%s:%d: %s"):format(self.page.path, block.line, text), 0)
end

function Session:start(words)
  words.cwd, words.env = self.dir, self.env
  return engine.process.start(words)
end

--- Runs words with both streams as one, in the order that a terminal would show; fails with that
--- unless it ends as the block says.
function Session:try(block, words, stdin)
  local script = { "stdbuf", "-oL", "sh", "-c", 'exec "$@" 2>&1', "sh" }
  script.stdin = stdin
  local p = self:start(table.move(words, 1, #words, #script + 1, script))
  local status, wanted = p:wait(), tonumber(block.notes.fails or "0")
  if status ~= wanted then
    self:fail(block, ("'%s' ended with %d, expected %d:\n%s"):format(
      table.concat(words, " "), status, wanted, p:output()))
  end
  return p.out_lines
end

function Session:write(block)
  files.write(self.dir .. "/" .. block.name, block.text)
  if block.name:find "^handlers/[^/]*%.lua$" and block.name ~= "handlers/config.lua" then
    self:try(block, { "jobq", "check", "handlers" })
  end
end

--- A worker in the background is there once it has said what the block shows.
function Session:start_background(block, command)
  local p = self:start { "sh", "-c", "exec 2>&1; exec " .. command[1] }
  for _, line in ipairs(command.expected) do
    local pattern, seen = transcript.pattern(line), 0
    p:wait_until(function()
      while p.out_lines[seen + 1] do
        seen = seen + 1
        if p.out_lines[seen]:find(pattern) then
          return true
        end
      end
    end, ("'%s' of %s:%d"):format(line, self.page.path, block.line))
  end
  table.insert(self.background, { process = p, block = block })
end

local RUN = {}

function RUN.console(self, block)
  for _, command in ipairs(transcript.parse(block.text)) do
    if block.notes.background then
      self:start_background(block, command)
    else
      local printed = self:try(block, { "sh", "-c", command[1] })
      if #command.expected > 0 and not transcript.match(command.expected, printed) then
        self:fail(block, ("'%s' does not print what is shown, but:\n%s"):format(
          command[1], table.concat(printed, "\n")))
      end
    end
  end
end

function RUN.sh(self, block)
  self:try(block, { "sh", "-eu" }, block.text)
end

function RUN.sql(self, block)
  self:try(block, { "psql", "-Xq", "-v", "ON_ERROR_STOP=1" }, block.text)
end

local BODY = 'local jobq = require "jobq"\nreturn { run = function(job)\n%s\nend }\n'

function RUN.lua(self, block)
  local is_file = block.text:find "\nreturn {" or block.text:find "^return {"
  local path = ("%s/snippets/line%d.lua"):format(self.dir, block.line)
  files.write(path, is_file and block.text or BODY:format(block.text))
  if is_file then
    self:try(block, { "jobq", "check", path })
  else
    local kind = ("line%d"):format(block.line)
    self:try(block, { "jobq", "run-once", kind, "--handlers", path })
  end
end

local function by_program(words, suffix)
  return function(self, block)
    local path = ("%s/snippets/line%d%s"):format(self.dir, block.line, suffix)
    files.write(path, block.text)
    self:try(block, table.move({ path }, 1, 1, #words + 1, table.move(words, 1, #words, 1, {})))
  end
end

RUN.python = by_program({ "/usr/bin/python3" }, ".py")
RUN.javascript = by_program({ "node" }, ".js")
RUN.go = by_program({ "go", "run" }, ".go")

function Session:run_block(block)
  if block.notes.sql then
    RUN.sql(self, { text = block.notes.sql, line = block.line, notes = {} })
  end
  if block.notes["not run"] or not M.is_runnable(block) then
    return
  elseif block.name then
    return self:write(block)
  elseif not RUN[block.kind] then
    self:fail(block, ("blocks of kind '%s' are not known to spec/support/snippets.lua"):format(
      block.kind))
  end
  RUN[block.kind](self, block)
end

--- Workers end in order, and a private database with them.
function Session:finish()
  for _, each in ipairs(self.background) do
    if each.block.notes.background == true then
      each.process:signal "sigterm"
    end
    local status = each.process:wait()
    if status ~= 0 then
      self:fail(each.block, ("the worker ended with %d"):format(status))
    end
  end
  if files.exists(self.dir .. "/.jobq/pg") then
    self:try(self.page.blocks[1], { "jobq", "postgres", "stop" })
  end
end

--- A folder of its own. The programs are there as in the tree after a build.
local function scratch()
  local dir = engine.handlers({}).path:gsub("/$", "")
  assert(uv.fs_symlink(build.path(), dir .. "/build"))
  return dir
end

function Session:start_homeserver()
  local server = require("support.synapse").start(self.dir .. "/.synapse")
  local ann = server:account_of "ann"
  server:say(ann, server:room(ann, { name = "Kitchen" }), "hello")
  server:leave(ann, server:room(ann, { name = "Old plans" }))
  self.env.JOBQ_MATRIX_HOMESERVER = server.settings["matrix.homeserver"]
  self.env.JOBQ_MATRIX_TOKEN = server.settings["matrix.token"]
end

function M.run(page)
  local dir = scratch()
  if page.options["our handlers"] then
    files.run { "cp", "-R", "handlers", dir }
  end
  local db = not page.options["own database"] and engine.database() or nil
  local self = setmetatable({ page = page, dir = dir, background = {} }, Session)
  self.env = environment(db, dir)
  if page.options["a homeserver"] then
    self:start_homeserver()
  end
  local ok, why = pcall(function()
    for _, block in ipairs(page.blocks) do
      self:run_block(block)
    end
  end)
  local ended, more = pcall(self.finish, self)
  if not (ok and ended) then
    error(why or more, 0)
  end
end

return M
