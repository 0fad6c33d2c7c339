--- Values and where they are from, read as jobq-run reads them: the weakest first, later ones win.
--
-- PG*  config files (/etc/jobq, ~/.config/jobq, here; or the one that is named)  DATABASE_URL
-- JOBQ_*  options
local failure = require "_failure"
local near = require "_near"
local text = require "_text"

local M = {}

--- The options of jobq-run; a spec compares them with what its --help says.
M.NAMES = {
  "dsn", "embedded", "queues", "kinds", "concurrency", "executors", "drain", "watch",
  "job-memory", "executor-memory", "load-timeout", "shutdown-grace", "poll-interval",
  "heartbeat-interval", "dead-after", "config", "name", "log-format", "log-level", "check",
}

-- Of this program alone.
local OURS = { ["admin-scripts"] = true, commit = true, debug = true }

local PG_VARIABLES = { "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER" }
local EXCLUDES = { dsn = "embedded", embedded = "dsn" }
local NO = { no = true, ["false"] = true, off = true, ["0"] = true }
local YES = { [""] = true, yes = true, ["true"] = true, on = true, ["1"] = true }

local known = {}
for _, name in ipairs(M.NAMES) do
  known[name] = true
end

local Config = {}
Config.__index = Config

-- dsn and embedded exclude each other: the later layer wins, within one it is a contradiction.
local function set(self, name, value, origin, layer)
  if name == "embedded" and NO[value] then
    failure.raise("usage", ("%s%s: '%s' is not a folder"):format(origin,
      origin:find ":%d+$" and ": embedded" or "", value),
      "leave embedded out")
  end
  local other = EXCLUDES[name]
  local rival = other and self.values[other]
  if rival and rival.layer == layer then
    failure.raise("usage", ("%s excludes %s"):format(origin, rival.origin))
  elseif rival then
    self.values[other] = nil
  end
  self.values[name] = { value = value, origin = origin, layer = layer }
end

local function is_setting(name)
  return name:find "^[%w_]+%.[%w_.]+$" ~= nil
end

local function value_of(rest)
  local quoted, after = rest:match '^"([^"]*)"%s*(.*)$'
  if quoted then
    return (after == "" or after:sub(1, 1) == "#") and quoted or nil
  elseif rest:sub(1, 1) == '"' then
    return nil
  elseif rest:sub(1, 1) == "#" then
    return ""
  end
  return (rest:gsub("%s+#.*$", ""):gsub("%s+$", ""))
end

local function read_line(self, line, where)
  if line:find "^%s*$" or line:find "^%s*#" then
    return
  end
  local name, rest = line:match "^%s*([^=]-)%s*=%s*(.-)%s*$"
  local value = name and name ~= "" and value_of(rest)
  if not value then
    failure.raise("usage", where .. ": expected NAME = VALUE")
  elseif not is_setting(name) and (not known[name] or name == "config") then
    failure.raise("usage", ("%s: unknown name '%s'"):format(where, text.clean(name)),
      near.hint(name, M.NAMES))
  end
  set(self, name, value, where, where:match "^(.*):%d+$")
end

local function read_file(self, path, needed)
  local file, message = io.open(path)
  if not file then
    if needed then
      failure.raise("usage", "cannot read config file " .. text.clean(message))
    end
    return
  end
  local number = 0
  for line in file:lines() do
    number = number + 1
    read_line(self, line, ("%s:%d"):format(path, number))
  end
  file:close()
end

local function places()
  local list = { "/etc/jobq/jobq.conf" }
  local config, home = os.getenv "XDG_CONFIG_HOME", os.getenv "HOME"
  if config and config:find "^/" then
    table.insert(list, config .. "/jobq/jobq.conf")
  elseif home and home ~= "" then
    table.insert(list, home .. "/.config/jobq/jobq.conf")
  end
  table.insert(list, "jobq.conf")
  return list
end

M.places = places

local function read_files(self, named)
  named = named or os.getenv "JOBQ_CONFIG"
  if named and named ~= "" then
    return read_file(self, named, true)
  end
  for _, path in ipairs(places()) do
    read_file(self, path, false)
  end
end

local function read_pg(self)
  for _, name in ipairs(PG_VARIABLES) do
    if os.getenv(name) then
      return set(self, "dsn", "", name, "PG*")
    end
  end
end

-- JOBQ_SMTP_HOST is smtp.host; what is neither an option nor such a name is not ours.
local function read_variable(self, variable, value)
  local name = variable:sub(#"JOBQ_" + 1):lower():gsub("_", "-")
  if value == "" or OURS[name] then
    return
  elseif known[name] then
    return set(self, name, value, variable, "JOBQ_*")
  end
  local setting = name:gsub("-", "_"):gsub("_", ".", 1)
  if is_setting(setting) then
    set(self, setting, value, variable, "JOBQ_*")
  end
end

-- options: of the command line. environment: names and values.
function M.load(options, environment)
  local self = setmetatable({ values = {} }, Config)
  read_pg(self)
  read_files(self, options.config)
  if environment.DATABASE_URL and environment.DATABASE_URL ~= "" then
    set(self, "dsn", environment.DATABASE_URL, "DATABASE_URL", "DATABASE_URL")
  end
  for variable, value in pairs(environment) do
    if variable:find "^JOBQ_" then
      read_variable(self, variable, value)
    end
  end
  for _, name in ipairs { "dsn", "embedded" } do
    if options[name] then
      set(self, name, options[name], "--" .. name, "options")
    end
  end
  return self
end

--- For commands that need no database: what is wrong with a file does not matter to them.
M.none = setmetatable({ values = {} }, Config)

--- The folder of the embedded server, or nil; and where that is from.
function Config:embedded()
  local found = self.values.embedded
  if found then
    return (found.value == true or YES[found.value]) and ".jobq/pg" or found.value, found.origin
  end
end

--- The dsn, or nil; and where it is from.
function Config:dsn()
  local found = self.values.dsn
  if found then
    return found.value, found.origin
  end
end

return M
