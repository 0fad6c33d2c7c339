--- The primitives of jobq.core as a spec wants them: what works on this machine alone is real, what
--- reaches others is a fake, and what nobody has faked ends the spec.
---
--- A world is what one run can see and has done: expected (what the spec has arranged), job, logs,
--- slept, progress, mails, requests, programs, result, code, completed, problem.
local core = require "jobq.core"
local queue = require "jobq.testing.queue"
local routes = require "jobq.testing.routes"
local steps = require "jobq.testing.steps"
local waits = require "jobq.testing.waits"

local M = {}

local REAL = {
  compress = true, crypto = true, fs = true, json = true, secret = true, source = true,
}
local REAL_FUNCTIONS = {
  smtp = { encode_body = true, encode_bytes = true, encode_header = true },
  task = { explain = true, memory_error = true, parallel = true, place = true, raise = true },
}

--- Ends the run; what has happened before does not count, whatever the handler makes of it.
local function fail(world, text, ...)
  world.problem = world.problem or text:format(...)
  error(world.problem, 0)
end

local function is_duration(seconds)
  return type(seconds) == "number" and seconds >= 0 and seconds < 3.2e9
end

---- the job ----

local function add_job(fake, world)
  local job = world.job

  function fake.begin()
    local args = core.json.decode(job.args_text)
    return setmetatable({ id = job.id, attempt = job.attempt, args = args }, fake.job_metatable)
  end

  function fake.run.field(name)
    return job[name]
  end

  function fake.run.keep_result(value)
    local ok, text = pcall(core.json.encode, value)
    if not ok then
      return nil, text
    end
    world.result = core.json.decode(text)
    return true
  end

  function fake.run.progress(fraction, message)
    world.progress = { fraction = fraction, message = message }
  end

  for _, level in ipairs { "debug", "info", "warn", "error" } do
    fake.log[level] = function(log, message, fields)
      if type(log) ~= "table" then
        error("a log line has no text\nhint: write job.log:info(...) with a colon", 2)
      end
      table.insert(world.logs, { level = level, message = tostring(message), fields = fields })
    end
  end
end

--- Time passes at once. The real call says where one may not wait.
local function add_time(fake, world)
  function fake.task.sleep(seconds)
    core.task.sleep(is_duration(seconds) and 0 or seconds)
    world.slept = world.slept + seconds
  end

  function fake.task.traceback(value)
    world.code = type(value) == "table" and rawget(value, "code") or nil
    return core.task.traceback(value)
  end
end

---- others ----

--- { 550, "no such user" }; { "connect", "cannot reach the smtp server" }; {} is a plain success.
local function smtp_reply(reply)
  local code, text = reply[1] or 250, reply[2] or "ok"
  if type(code) == "string" then
    return nil, text, code
  elseif code >= 400 then
    return nil, ("smtp %d %s"):format(code, text), "smtp_" .. code
  end
  return ("%d %s"):format(code, text)
end

local function add_smtp(fake, world)
  function fake.smtp.deliver(delivery)
    local reply = table.remove(world.expected.smtp, 1)
    if not reply then
      fail(world, "jobq.smtp.send: no reply is left for a mail to %s\n"
        .. "hint: t.smtp.replies { 250, 'ok' }", table.concat(delivery.to, ", "))
    end
    table.insert(world.mails,
      { from = delivery.from, to = delivery.to, message = table.concat(delivery.message) })
    return smtp_reply(reply)
  end
end

local function parse_headers(lines)
  local headers = {}
  for _, line in ipairs(lines) do
    local name, value = line:match("^([^:;]+)[:;]%s*(.*)$")
    if name then
      headers[name:lower()] = value
    end
  end
  return headers
end

local function head_of(reply)
  local lines = {}
  for name, value in pairs(reply.headers or {}) do
    lines[#lines + 1] = ("\n%s: %s\r"):format(name, value)
  end
  return table.concat(lines) .. "\n"
end

local function http_body(reply)
  return reply.json ~= nil and core.json.encode(reply.json) or reply.body or ""
end

--- What answers a request, as a table.
local function complete_reply(given, request)
  given = type(given) == "function" and given(request) or given
  return type(given) == "number" and { status = given } or given
end

--- In the order of what core.http.perform gives.
local function http_reply(given, request, to_file)
  local reply = complete_reply(given, request)
  if type(reply[1]) == "string" then
    return nil, reply[2] or reply[1], reply[1] -- code, message
  end
  local body, status = http_body(reply), reply.status or 200
  local size = #body
  if to_file and status // 100 == 2 then
    local written, message, code = core.fs.write(to_file, body)
    if not written then
      return nil, message, code
    end
    body = nil
  end
  return status, head_of(reply), body, request.url, 0, size, "1.1"
end

local function add_http(fake, world)
  function fake.http.perform(exchange)
    local request = {
      method = exchange.method, url = exchange.url, body = exchange.body,
      headers = parse_headers(exchange.headers),
    }
    table.insert(world.requests, request)
    local route = routes.of_request(world.expected, request.method, request.url)
    if not route then
      fail(world, "jobq.http: nothing answers %s %s\nhint: t.http.on('%s', '%s', { status = 200 })",
        request.method, request.url, request.method, request.url)
    end
    return http_reply(route.reply, request, exchange.to_file)
  end
end

--- What core.process.start gives: a program that has ended already.
local function new_program(result)
  return setmetatable({ result = result }, { __close = function() end })
end

local function run_program(world, name, argv)
  local route = routes.of_program(world.expected, name)
  if not route then
    fail(world, "jobq.process: no program '%s' is there\nhint: t.process.on('%s', { stdout = '' })",
      name, name)
  end
  return type(route.result) == "function" and route.result(argv) or route.result
end

--- The program and its arguments are behind what the guard takes (jobq.process, bindings/guard.h).
local GUARD_WORDS = 10

local function add_process(fake, world)
  function fake.process.start(words, options)
    local argv = table.move(words, GUARD_WORDS + 1, #words, 1, {})
    table.insert(world.programs, { argv = argv, stdin = options.input })
    return new_program(run_program(world, argv[1], argv))
  end

  function fake.process.wait()
    return true
  end

  function fake.process.take(program, name)
    return program.result[name] or ""
  end

  function fake.process.result(program)
    local r = program.result
    if type(r[1]) == "string" then
      return nil, r[2] or r[1], r[1] -- code, message
    end
    return {
      status = not r.signal and (r.status or 0) or nil, signal = r.signal,
      seconds = 0, cpu_seconds = 0, peak_memory = 0,
    }
  end
end

local PARTS = { http = add_http, process = add_process, smtp = add_smtp, sql = queue.add }

---- all of them ----

--- A function that nobody has faked: network, database.
local function refusal(world, group, name)
  return function()
    fail(world, "jobq.%s: there is no fake for %s in specs", group, name)
  end
end

local function new_group(world, group, functions)
  local fake, real = {}, REAL_FUNCTIONS[group] or {}
  for name, value in pairs(functions) do
    local is_real = REAL[group] or real[name] or type(value) ~= "function"
    fake[name] = is_real and value or refusal(world, group, name)
  end
  return fake
end

--- A core like the real one, for one run.
function M.new(world)
  local fake = { job_metatable = {} }
  for group, functions in pairs(core) do
    if type(functions) == "table" and group ~= "job_metatable" then
      fake[group] = new_group(world, group, functions)
    end
  end
  add_job(fake, world)
  steps.add(fake, world)
  add_time(fake, world)
  for group, add in pairs(PARTS) do
    if fake[group] then
      add(fake, world)
    end
  end
  if world.tape then
    waits.add(fake, world)
  end
  return fake
end

return M
