--- A transaction of a handler: BEGIN, what the handler's function does, COMMIT. Any other way out
--- than a plain return leaves it to the session's end to roll back, which waits for nothing.
local batches = require "jobq.batch"
local core = require "jobq.core"
local database = require "jobq.database"
local enqueue = require "jobq.enqueue"
local event = require "jobq.event"
local nearest = require "jobq.nearest"

local M = {}

local ISOLATIONS = {
  ["read committed"] = true, ["repeatable read"] = true, ["serializable"] = true,
}

local OPTIONS = { isolation = "string", read_only = "boolean" }

local methods = {}

local Transaction = { __name = "jobq.sql.transaction", __metatable = false }

function Transaction.__index(_, name)
  local method = methods[name]
  if not method then
    error(("a transaction has no method '%s'%s"):format(
      tostring(name), nearest.hint(name, methods)), 2)
  end
  return method
end

--- level 0 is the outermost. failure: the first one, as { message, code, detail, hint }, or false.
local function new(session, level)
  return setmetatable({
    session = session, level = level, failure = false, is_over = false, completes = false,
  }, Transaction)
end

--- The server refuses all that follows the first failure, so that is the one to be told of.
local function note(tx, rows, message, code, detail, hint)
  if not rows then
    tx.failure = tx.failure or { message, code, detail, hint }
    return nil, message, code, detail, hint
  end
  return rows, message
end

--- An inner transaction that goes on makes the outer one wait.
local function run_in(tx, sql, values, count, timeout)
  if tx.is_over then
    error("the transaction is over", 0)
  end
  return note(tx, database.run(tx.session, sql, values, count, timeout))
end

function methods.query(tx, ...)
  local rows, info, code, detail, hint = run_in(tx, database.statement("tx:query", ...))
  return rows, info, code, detail, hint
end

function methods.first(tx, ...)
  return database.first(run_in(tx, database.statement("tx:first", ...)))
end

function methods.value(tx, ...)
  return database.value(run_in(tx, database.statement("tx:value", ...)))
end

local function runner_in(tx)
  return function(sql, values, count)
    return run_in(tx, sql, values, count)
  end
end

function methods.enqueue(tx, kind, args, options)
  local id, message, code, detail, hint =
    enqueue.one_of("tx:enqueue", runner_in(tx), kind, args, options)
  return id, message, code, detail, hint
end

function methods.enqueue_many(tx, kind, list, options)
  local ids, message, code, detail, hint =
    enqueue.many_of("tx:enqueue_many", runner_in(tx), kind, list, options)
  return ids, message, code, detail, hint
end

--- A new one, or one that there is, for what is added in this transaction.
function methods.batch(tx, given)
  local batch, message, code, detail, hint = batches.of("tx:batch", runner_in(tx), given)
  return batch, message, code, detail, hint
end

function methods.emit(tx, name, payload, options)
  local added, message, code, detail, hint =
    event.emit_by("tx:emit", runner_in(tx), name, payload, options)
  return added, message, code, detail, hint
end

--- Said here, done with the COMMIT.
function methods.complete(tx, result)
  if tx.level > 0 then
    error("tx:complete: only the outermost transaction can complete the job", 2)
  elseif tx.is_over then
    error("tx:complete: the transaction is over", 2)
  end
  core.run.field("kind") -- raises where there is no job
  tx.completes = true
  rawset(tx, "result", result)
end

local function has_failed(results)
  return not results[1] and results[2] ~= nil
end

--- What the function has returned, or true for nothing.
local function given(results)
  if results.n == 0 then
    return true
  end
  return table.unpack(results, 1, results.n)
end

local function failure_of(tx, results)
  if tx.failure then
    return nil, table.unpack(tx.failure, 1, 4)
  end
  return table.unpack(results, 1, results.n)
end

---- savepoints ----

--- Sent, not waited for: also for the way out of an error. A stop may have taken the session away.
local function back_to(session, savepoint)
  pcall(core.sql.post, session, "rollback to savepoint " .. savepoint)
end

function methods.transaction(tx, f)
  if type(f) ~= "function" then
    error(("tx:transaction: expected a function, got %s"):format(database.show(f)), 2)
  end
  local inner = new(tx.session, tx.level + 1)
  local savepoint = "jobq_" .. inner.level
  local ok, message, code, detail, hint = run_in(tx, "savepoint " .. savepoint)
  if not ok then
    return nil, message, code, detail, hint
  end
  local _ <close> = setmetatable({}, {
    __close = function(_, why)
      inner.is_over = true
      if why ~= nil then
        back_to(tx.session, savepoint)
      end
    end,
  })
  local results = table.pack(f(inner))
  if inner.failure or has_failed(results) then
    back_to(tx.session, savepoint)
    return failure_of(inner, results)
  end
  ok, message, code, detail, hint = run_in(tx, "release savepoint " .. savepoint)
  if not ok then
    return nil, message, code, detail, hint
  end
  return given(results)
end

---- the whole ----

--- The statement that begins it. Errors are for the caller's caller.
function M.begin(where, options)
  local words = { "begin" }
  for name, value in pairs(options or {}) do
    if not OPTIONS[name] then
      error(("%s: unknown option '%s'%s"):format(
        where, tostring(name), nearest.hint(name, OPTIONS)), 3)
    elseif type(value) ~= OPTIONS[name] then
      error(("%s: %s: expected a %s, got %s"):format(
        where, name, OPTIONS[name], database.show(value)), 3)
    end
  end
  local isolation = options and options.isolation
  if isolation then
    if not ISOLATIONS[isolation] then
      error(("%s: isolation: '%s' is not 'read committed', 'repeatable read' or 'serializable'")
        :format(where, isolation), 3)
    end
    words[#words + 1] = "isolation level " .. isolation
  end
  if options and options.read_only then
    words[#words + 1] = "read only"
  end
  return table.concat(words, " ")
end

--- f(tx) between begin and COMMIT on the database of that name. last(results) gives a statement,
--- its values and their number; it goes with the COMMIT.
function M.run(name, begin, f, last)
  local session <close> = database.session(name)
  local connected, why, connect_code = database.connect(session)
  if not connected then
    return nil, why, connect_code
  end
  local ok, message, code, detail, hint = database.run(session, begin)
  if not ok then
    return nil, message, code, detail, hint
  end
  local tx = new(session, 0)
  local results = table.pack(f(tx))
  tx.is_over = true
  if tx.failure or has_failed(results) then
    return failure_of(tx, results)
  end
  local sql, values, count
  if last then
    sql, values, count = last(results)
  end
  ok, message, code, detail, hint =
    core.sql.finish(session, tx.completes, rawget(tx, "result"), sql, values, count)
  if not ok then
    return nil, message, code, detail, hint
  end
  return given(results)
end

return M
