--- jobq.parallel: several functions of one job at a time.
local core = require "jobq.core"
local checked = require "jobq.options"

local OPTIONS = { limit = "count" }

local function check(fns, options)
  if type(fns) ~= "table" then
    checked.misuse("jobq.parallel: expected an array of functions, got %s", checked.show(fns))
  end
  for key, fn in pairs(fns) do
    if math.type(key) ~= "integer" or key < 1 or key > #fns then
      local text = "jobq.parallel: expected an array of functions, got the key %s"
      checked.misuse(text, checked.show(key))
    elseif type(fn) ~= "function" then
      checked.misuse("jobq.parallel: [%d]: expected a function, got %s", key, checked.show(fn))
    end
  end
  return checked.check("jobq.parallel", options, OPTIONS)
end

--- Texts say where it happened; other values are the caller's own, and stay what they are.
local function explain(value)
  return type(value) == "string" and core.task.traceback(value) or value
end

--- Not a tail call: the function should be seen in tracebacks.
local function call(fn)
  local value, message, code = fn()
  return value, message, code
end

--- What one function has done: true, or false and why all of it failed.
local function conclude(results, i, ok, value, message, code)
  if not ok then
    if value == "not enough memory" then
      value = core.task.memory_error() -- its place is known only now
    end
    return false, { raised = true, value = value }
  elseif not value and message ~= nil then
    return false, { value = value, message = message, code = code }
  end
  results[i] = value
  return true
end

--- The values of the functions, in their order. What one raises is raised; what one answers with
--- nil, message, code is the answer. In both cases the others are cancelled and waited for.
return function(fns, options)
  options = check(fns, options)
  local results, failure = { n = #fns }, nil
  local function body(i)
    local ok, why = conclude(results, i, xpcall(call, explain, fns[i]))
    failure = failure or why
    return ok
  end
  local message = core.task.parallel(body, #fns, options.limit or math.max(#fns, 1))
  if failure and failure.raised then
    error(failure.value, 0)
  elseif failure then
    return failure.value, failure.message, failure.code
  elseif message then
    error(message, 0)
  end
  return results
end
