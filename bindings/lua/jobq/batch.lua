--- jobq.batch, tx:batch and job.batch: jobs that belong together, and the jobs that are added when
--- they have ended.
local core = require "jobq.core"
local database = require "jobq.database"
local enqueue = require "jobq.enqueue"
local nearest = require "jobq.nearest"
local strict = require "jobq.strict"

local M = {}

local EVENTS = { "on_success", "on_failure", "on_complete" }
--- Option -> what it is, and a test of its value.
local function of_type(name)
  return { "a " .. name, function(value) return type(value) == name end }
end

local CALLBACK = {
  "the name of a kind, or { kind =, args =, options = }",
  function(value) return type(value) == "string" or type(value) == "table" end,
}

local OPTIONS = {
  name = of_type "string", on_complete = CALLBACK, on_failure = CALLBACK, on_success = CALLBACK,
  parent = { "the id of a batch", function(value) return math.type(value) == "integer" end },
  refire = of_type "boolean",
}

local methods = {}

local Batch = { __name = "jobq.batch", __metatable = false, __newindex = strict.refuse "batch" }

function Batch.__index(_, name)
  local method = methods[name]
  if not method then
    error(("a batch has no method '%s'%s"):format(tostring(name), nearest.hint(name, methods)), 2)
  end
  return method
end

--- run executes statements. member: the running job of the batch that adds to it, or false.
local function new(id, run, member)
  return setmetatable({ id = id, run = run, member = member or false }, Batch)
end

-- Levels of errors: here, open, the function that the handler calls, the handler.
local HANDLER = 4

local function check_option(where, name, value)
  local option = OPTIONS[name]
  if not option then
    error(("%s: unknown option '%s'%s"):format(
      where, tostring(name), nearest.hint(name, OPTIONS)), HANDLER)
  elseif not option[2](value) then
    error(("%s: %s: expected %s, got %s"):format(
      where, name, option[1], database.show(value)), HANDLER)
  end
end

--- A callback as JSON.
local function encode(where, name, callback)
  local ok, text = pcall(core.json.encode, callback)
  if not ok then
    error(("%s: %s: %s"):format(where, name, text), HANDLER)
  end
  return text
end

local function open(where, run, options, member)
  if options ~= nil and type(options) ~= "table" then
    error(("%s: expected a table of options, got %s"):format(where, database.show(options)), 3)
  end
  local o = options or {}
  for name, value in pairs(o) do
    check_option(where, name, value)
  end
  local values = { o.name, nil, nil, nil, o.parent, o.refire, member or nil }
  for i, name in ipairs(EVENTS) do
    values[i + 1] = o[name] and encode(where, name, o[name])
  end
  local rows, message, code, detail, hint =
    run(core.sql.statement "open_batch", values, 7)
  if not rows then
    return nil, message, code, detail, hint
  end
  return new(rows[1].id, run)
end

--- Opens one, or gives the one that there is: by its id, or as it is known elsewhere.
function M.of(where, run, given)
  if math.type(given) == "integer" then
    return new(given, run)
  elseif getmetatable(given) == false and type(given) == "table" and rawget(given, "run") then
    return new(given.id, run, given.member)
  end
  return open(where, run, given) -- in our place: levels of errors count it once
end

--- That of a running job.
function M.of_member(id, member)
  return new(id, enqueue.on_queue, member)
end

local function options_in(batch, options)
  if options ~= nil and type(options) ~= "table" then
    return options
  end
  local o = { batch = batch.id, batch_member = batch.member or nil }
  for name, value in pairs(options or {}) do
    o[name] = value
  end
  return o
end

function methods.enqueue(batch, kind, args, options)
  local id, message, code, detail, hint = enqueue.one_of("batch:enqueue", batch.run, kind, args,
    options_in(batch, options))
  return id, message, code, detail, hint
end

function methods.enqueue_many(batch, kind, list, options)
  local ids, message, code, detail, hint = enqueue.many_of("batch:enqueue_many", batch.run, kind,
    list, options_in(batch, options))
  return ids, message, code, detail, hint
end

--- A batch in this one.
function methods.batch(batch, options)
  if options ~= nil and type(options) ~= "table" then
    error(("batch:batch: expected a table of options, got %s"):format(database.show(options)), 2)
  end
  local o = { parent = batch.id }
  for name, value in pairs(options or {}) do
    o[name] = value
  end
  local child, message, code, detail, hint = open("batch:batch", batch.run, o, batch.member)
  return child, message, code, detail, hint
end

function methods.close(batch)
  local rows, message, code, detail, hint =
    batch.run(core.sql.statement "close_batch", { batch.id }, 1)
  if not rows then
    return nil, message, code, detail, hint
  end
  return true
end

function M.batch(options)
  local batch, message, code, detail, hint = M.of("jobq.batch", enqueue.on_queue, options)
  return batch, message, code, detail, hint
end

return M
