--- jobq migrate: brings the database to the schema of this program.
local failure = require "_failure"
local json = require "_json"
local pg = require "jobq.pg"
local text = require "_text"

local function fail(context, message, code, hint)
  message = text.clean(message)
  if code == "failed" or code == "no_database" then
    context.db:try "select" -- where there is no connection, this tells best why
  end
  failure.raise(code, message, hint)
end

local function state_of(context)
  local state, message, code, hint = pg.migrate_state(context.db:conninfo())
  if not state then
    fail(context, message, code, hint)
  end
  return state
end

local function status(context)
  local state = state_of(context)
  local newest = pg.newest()
  if context.json then
    context:print_json(json.object {
      { "version", state.version }, { "newest", newest }, { "min_worker", state.min_worker },
    })
  elseif state.version == 0 then
    context:print(("the database has no jobq schema, this program brings %d"):format(newest))
  else
    context:print(("the database has version %d, this program brings %d; workers from %s on may run"
      ):format(state.version, newest, state.min_worker))
  end
  if state.version < newest then
    failure.raise("schema", ("%s to apply"):format(text.count(newest - state.version, "migration")),
      "jobq migrate")
  end
end

local function up(context)
  local applied, message, code, hint = pg.migrate_up(context.db:conninfo())
  if not applied then
    fail(context, message, code, hint)
  end
  if context.json then
    local items = {}
    for i, migration in ipairs(applied) do
      items[i] = json.pick(migration, { "number", "name" })
    end
    context:print_items(items)
    return
  end
  for _, migration in ipairs(applied) do
    context:print(("applied %04d %s"):format(migration.number, migration.name))
  end
  if #applied == 0 then
    context:print(("nothing to do, the schema is at version %d"):format(state_of(context).version))
  end
end

return {
  group = "Database",
  summary = "bring the database to the schema of this program",
  creates = true,
  options = {
    { "--status", "tell both versions, change nothing; exit status 7 if they differ" },
    { "--print", "the SQL of all migrations, to be read or piped into psql" },
    { "--from N", "with --print: only what comes after version N", type = "integer",
      min = 0, max = 9999 },
  },
  examples = {
    { "migrate" },
    { "migrate --status" },
    { "migrate --print | psql", "as the owner of the database" },
  },

  run = function(context)
    if context.options.print then
      io.write(pg.migrate_print(context.options.from or 0))
    elseif context.options.status then
      status(context)
    else
      up(context)
    end
  end,
}
