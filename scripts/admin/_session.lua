--- The database of a command: found, opened at the first query, its errors turned into failures.
local failure = require "_failure"
local pg = require "jobq.pg"
local text = require "_text"

local M = {}

local EMBEDDED_DIR = ".jobq/pg"

local Session = {}
Session.__index = Session

--- config: of _config.lua. command: role, creates (makes the embedded cluster).
function M.new(config, command, say)
  local self = setmetatable({ say = say, role = command.role, creates = command.creates }, Session)
  local dir, origin = config:embedded()
  self.dsn, self.origin = config:dsn()
  if dir then
    self.dir, self.origin, self.creates = dir, origin, true
  elseif not self.dsn then
    self.dir, self.unasked = EMBEDDED_DIR, true
  end
  return self
end

-- What libpq says of a refused connection, without its preamble: where, why.
local function connect_reason(message)
  local last = message
  for each in message:gmatch "[^\n]+" do
    last = each:find "^connection to server" and each or last
  end
  last = last:match "^[^\n]*"
  local at, why = last:match "^connection to server at (.-) failed: (.*)$"
  if not at then
    at, why = last:match "^connection to server on (.-) failed: (.*)$"
  end
  return at, (why or last):gsub("^FATAL:%s+", "")
end

local UNREADABLE = {
  'missing "="', "invalid connection option", "invalid URI", "invalid port number",
  "unterminated quoted", "unexpected character", "extra key", "missing key",
}

local function is_unreadable(message)
  for _, start in ipairs(UNREADABLE) do
    if message:find(start, 1, true) then
      return true
    end
  end
  return false
end

function Session:cannot_connect(message)
  local origin = self.origin
  if is_unreadable(message) then
    failure.raise("usage", ("%s: %s"):format(origin, text.clean(message)),
      "write postgres://user@host/database or host=... dbname=...")
  end
  local at, why = connect_reason(message)
  why = text.clean(why:sub(1, 1):lower() .. why:sub(2))
  local place = at and (" at " .. text.clean((at:gsub('"', ""):gsub(", port (%d+)$", ":%1")))) or ""
  failure.raise("no_database", ("cannot reach postgres%s: %s"):format(place, why),
    ("the dsn is from %s; jobq doctor checks it step by step"):format(origin))
end

function Session:open_embedded()
  if self.unasked then
    if not self.creates and pg.embedded_state(self.dir) == "absent" then
      failure.raise("no_database",
        ("no dsn is given and there is no database in %s"):format(self.dir),
        "pass --dsn DSN, set DATABASE_URL, or start a private postgres: jobq postgres start")
    end
    self.say(("no dsn is given, using the private postgres in %s"):format(self.dir))
  end
  local server, message, _, hint = pg.embedded_open(self.dir)
  if not server then
    failure.raise("no_database", message, hint)
  end
  self.server = server
  self.dsn, self.origin = server:conninfo(), self.origin or "--embedded"
end

--- The connection string, for what connects itself.
function Session:conninfo()
  if not self.dsn then
    self:open_embedded()
  end
  return self.dsn
end

function Session:connect()
  local conn, message = pg.connect(self:conninfo())
  if not conn then
    self:cannot_connect(message)
  end
  self.conn = conn
end

local SCHEMA_STATES = { ["3F000"] = true, ["42P01"] = true, ["42883"] = true, ["42703"] = true }

local function no_schema(session)
  local name = session.conn:query("select current_database()::text as name")[1].name
  failure.raise("schema",
    ("database '%s' has no jobq schema"):format(text.clean(name)), "jobq migrate")
end

function Session:refuse(message)
  local name = self.conn:query("select current_user::text as name")[1].name
  local role = self.role or "jobq_admin"
  failure.raise("refused", ("role '%s' may not do this: %s"):format(text.clean(name), message),
    ('as the owner of the database: grant %s to "%s"'):format(role, text.clean(name)))
end

-- Values that the database refuses are the user's; all else is ours or the server's.
local function code_of(sqlstate)
  if sqlstate:find "^22" or sqlstate:find "^54" then
    return "usage"
  end
  return sqlstate == "55000" and "refused" or "failed"
end

function Session:fail(message, sqlstate, detail, hint)
  message = text.clean(message)
  if sqlstate == "42501" then
    self:refuse(message)
  elseif sqlstate:find "^08" or sqlstate:find "^57P0" then
    failure.raise("no_database", "the connection was lost: " .. message)
  elseif SCHEMA_STATES[sqlstate] then
    failure.raise("schema", ("the database does not fit this jobq: %s"):format(message),
      "jobq migrate --status tells both versions")
  end
  failure.raise(code_of(sqlstate), ("%s (%s)"):format(message, sqlstate),
    text.clean(hint or detail or ""), detail and text.clean(detail))
end

-- One look before the first query: clearer than the error of a function that is not there.
function Session:check_schema()
  local rows, message, sqlstate = self.conn:query "select * from jobq.schema_state()"
  if not rows and SCHEMA_STATES[sqlstate] then
    no_schema(self)
  elseif not rows and sqlstate == "42501" and not message:find("schema", 1, true) then
    return -- a role that may not see the version may still do what it was made for
  elseif not rows then
    self:fail(message, sqlstate)
  end
  local fits, why, code, hint = pg.judge(rows[1].version, rows[1].min_worker)
  if not fits then
    failure.raise(code, why, hint)
  end
end

--- As conn:query, without the check of the schema; failures are told as they are.
function Session:try(sql, ...)
  if not self.conn then
    self:connect()
  end
  return self.conn:query(sql, ...)
end

---@return table[] rows
function Session:query(sql, ...)
  if not self.conn then
    self:connect()
    self:check_schema()
  end
  local rows, message, sqlstate, detail, hint = self.conn:query(sql, ...)
  for _, notice in ipairs(self.conn:notices()) do
    self.say(text.clean(notice))
  end
  if not rows then
    self:fail(message, sqlstate, detail, hint)
  end
  return rows
end

function Session:row(sql, ...)
  return self:query(sql, ...)[1]
end

--- Until a notification comes, at most so many seconds.
function Session:wait(seconds)
  self.conn:notifications(seconds)
end

function Session:close()
  if self.conn then
    self.conn:close()
  end
  if self.server then
    self.server:close()
  end
end

return M
