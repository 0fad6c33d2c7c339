--- jobq postgres start|stop|status: the private server for trying out and for development.
local failure = require "_failure"
local json = require "_json"
local pg = require "jobq.pg"

local ACTIONS = { "start", "stop", "status" }

local function folder(context)
  return context.config:embedded() or ".jobq/pg"
end

local function check(value, message, hint)
  if not value then
    failure.raise("no_database", message, hint)
  end
  return value
end

local function open(dir)
  local server, message, _, hint = pg.embedded_open(dir)
  return check(server, message, hint)
end

local function report(context, state, conninfo)
  if context.json then
    context:print_json(json.object { { "state", state }, { "dsn", conninfo } })
  elseif conninfo then
    context:print(('%s; psql "%s"'):format(state, conninfo))
  else
    context:print(state)
  end
end

local run = {}

function run.start(context, dir)
  local server <close> = open(dir)
  local kept, message = server:keep()
  check(kept, message)
  report(context, "running", server:conninfo())
end

function run.stop(context, dir)
  local stopped, message, _, hint = pg.embedded_stop(dir)
  check(stopped, message, hint)
  report(context, "stopped")
end

function run.status(context, dir)
  local state, conninfo, _, hint = pg.embedded_state(dir)
  check(state, conninfo, hint)
  report(context, state, state == "running" and conninfo or nil)
end

return {
  group = "Database",
  summary = "start, stop or see the private postgres of this folder",
  arguments = { { "ACTION", "start, stop or status", type = "choice", choices = ACTIONS } },
  examples = {
    { "postgres start", "in .jobq/pg, until it is stopped" },
    { "postgres stop" },
    { "--embedded=/tmp/try postgres start", "in another folder" },
  },

  run = function(context)
    run[context.arguments.action](context, folder(context))
  end,
}
