--- jobq.enqueue, tx:enqueue and their forms for many: options to the statements of sql/queries.
local core = require "jobq.core"
local database = require "jobq.database"
local nearest = require "jobq.nearest"

local M = {}

local OPTIONS = {
  batch = "number", batch_member = "number", cost = "number", delay = "number",
  expires_in = "number", limit_key = "string", max_attempts = "number", max_wait = "number",
  on_conflict = "string", priority = "number", queue = "string", run_at = "number",
  tags = "table", timeout = "number", unique_aligned = "boolean",
  unique_fields = "table", unique_for = "number", unique_key = "string", unique_until = "string",
}

-- Levels of errors: here, one_of or many_of, the function that the handler calls, the handler.
local HANDLER = 4

local function check(where, kind, options)
  if type(kind) ~= "string" then
    error(("%s: expected the name of a kind, got %s"):format(where, database.show(kind)), HANDLER)
  end
  if options ~= nil and type(options) ~= "table" then
    error(("%s: expected a table of options, got %s"):format(
      where, database.show(options)), HANDLER)
  end
  for name, value in pairs(options or {}) do
    local expected = OPTIONS[name]
    if not expected then
      error(("%s: unknown option '%s'%s"):format(
        where, tostring(name), nearest.hint(name, OPTIONS)), HANDLER)
    end
    if type(value) ~= expected then
      error(("%s: %s: expected a %s, got %s"):format(
        where, name, expected, database.show(value)), HANDLER)
    end
  end
  return options or {}
end

local function encode(where, args)
  if type(args) ~= "table" then
    error(("%s: args: expected a table, got %s"):format(where, database.show(args)), HANDLER)
  end
  local ok, text = pcall(core.json.encode, args)
  if not ok then
    error(("%s: args: %s"):format(where, text), HANDLER)
  end
  return text
end

--- The values of the statements, and how many.
local function values_of(kind, args, o)
  local options
  if o and next(o) then
    options = {}
    for name, value in pairs(o) do
      options[name] = type(value) == "table" and core.json.array(value) or value
    end
    options = core.json.encode(options)
  end
  return { kind, args, options }, 3
end

--- `run` executes sql, values, count. Gives the id and what happened; or nil, message, code and
--- what else the server said.
function M.one_of(where, run, kind, args, options)
  local o = check(where, kind, options)
  local text = encode(where, args == nil and {} or args)
  local rows, message, code, detail, hint =
    run(core.sql.statement "enqueue", values_of(kind, text, o))
  if not rows then
    return nil, message, code, detail, hint
  end
  return rows[1].id, rows[1].happened
end

--- The same for an array of arguments; gives the ids in order, and what happened of each.
function M.many_of(where, run, kind, list, options)
  local o = check(where, kind, options)
  if type(list) ~= "table" then
    error(("%s: expected an array of arguments, got %s"):format(where, database.show(list)), 3)
  end
  local texts = core.json.array {}
  for i, args in ipairs(list) do
    texts[i] = encode(where, args)
  end
  local rows, message, code, detail, hint =
    run(core.sql.statement "enqueue_many", values_of(kind, texts, o))
  if not rows then
    return nil, message, code, detail, hint
  end
  local ids, happened = core.json.array {}, {}
  for i, row in ipairs(rows) do
    ids[i], happened[i] = row.id, row.happened
  end
  return ids, happened
end

--- Statements on the database of the jobs.
function M.on_queue(sql, values, count)
  local rows, message, code, detail, hint = database.run_alone("queue", sql, values, count)
  return rows, message, code, detail, hint
end

function M.enqueue(kind, args, options)
  local id, message, code, detail, hint = M.one_of("jobq.enqueue", M.on_queue, kind, args, options)
  return id, message, code, detail, hint
end

function M.enqueue_many(kind, list, options)
  local ids, message, code, detail, hint =
    M.many_of("jobq.enqueue_many", M.on_queue, kind, list, options)
  return ids, message, code, detail, hint
end

return M
