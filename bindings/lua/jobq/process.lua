--- jobq.process: other programs, without a shell, of which nothing is left when they are over.
local core = require "jobq.core"
local checked = require "jobq.options"
local strict = require "jobq.strict"

local M = {}

local GRACE = 5 -- seconds from SIGTERM to SIGKILL
local MAX_OUTPUT = 1 << 20

local OPTIONS = {
  check = "boolean", cpu_seconds = "count", cwd = "path", env = "table", file_size = "bytes",
  files = "count", grace = "seconds", max_output = "bytes", memory = "bytes",
  on_stderr = "function", on_stdout = "function", processes = "count", stderr_file = "path",
  stdin = "string", stdin_file = "path", stdout_file = "path", timeout = "seconds",
}

--- What the guard takes before the program, in its order (bindings/guard.h).
local SUBJECTS = {
  "grace", "memory", "cpu_seconds", "files", "processes", "file_size", "cwd", "stdin_file",
  "stdout_file", "stderr_file",
}
local IN_BYTES = { file_size = true, memory = true }

local SIGNALS = {
  "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
  "ALRM", "TERM", [24] = "XCPU", [25] = "XFSZ", [31] = "SYS",
}

local function misuse(text, ...)
  checked.misuse("jobq.process.run: " .. text, ...)
end

local function check_argv(argv)
  if type(argv) ~= "table" then
    misuse("expected an array of a program and its arguments, got %s", checked.show(argv))
  end
  for i = 1, math.max(#argv, 1) do
    local word = argv[i]
    if type(word) ~= "string" and math.type(word) ~= "integer" then
      misuse("argv[%d]: expected a string or an integer, got %s", i, checked.show(word))
    elseif tostring(word):find("\0", 1, true) or i == 1 and word == "" then
      misuse("argv[%d]: expected a text without NUL bytes, got %s", i, checked.show(word))
    end
  end
end

--- The variables as they are passed on: secrets are opened here, and nowhere before.
local function check_env(env)
  local opened = env and {}
  for name, given in pairs(env or {}) do
    local value = core.secret.open(given)
    local is_name = type(name) == "string" and name:find("^[^=%z]+$")
    if not is_name then
      misuse("env: %s is not the name of a variable", checked.show(name))
    elseif value ~= false and (type(value) ~= "string" or value:find("\0", 1, true)) then
      misuse("env.%s: expected a string or false, got %s", name, checked.show(given))
    end
    opened[name] = value
  end
  return opened
end

local function check(argv, options)
  check_argv(argv)
  options = checked.check("jobq.process.run", options, OPTIONS)
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local other = name == "stdin" and "stdin" or "on_" .. name
    if options[other] ~= nil and options[name .. "_file"] ~= nil then
      misuse("%s and %s_file: only one of them can be", other, name)
    end
  end
  return options
end

local function words_of(argv, options)
  local words = {}
  for i, name in ipairs(SUBJECTS) do
    local value = options[name]
    words[i] = IN_BYTES[name] and value and checked.parse_bytes(value) or value or ""
    words[i] = tostring(words[i])
  end
  words[1] = ("%d"):format(math.ceil((options.grace or GRACE) * 1000))
  for _, word in ipairs(argv) do
    words[#words + 1] = tostring(word)
  end
  return words
end

local function mode(options, name)
  return options[name .. "_file"] and "file" or options["on_" .. name] and "pieces" or "capture"
end

--- A function that takes pieces of text and calls f for each line of them; it answers false when
--- one has more than max bytes.
local function by_lines(f, max)
  local rest = ""
  return function(piece, is_last)
    rest = rest .. piece
    local start, stop = 1, rest:find("\n", 1, true) -- patterns are quadratic on long lines
    while stop do
      if stop - start > max then
        return false
      end
      f(rest:sub(start, stop - 1))
      start, stop = stop + 1, rest:find("\n", stop + 1, true)
    end
    rest = rest:sub(start)
    if is_last and rest ~= "" and #rest <= max then
      f(rest)
    end
    return #rest <= max
  end
end

--- Until it is over; the name of an output with a line that is longer than max.
local function attend(process, options, max)
  local feeds = {}
  for _, name in ipairs { "stdout", "stderr" } do
    feeds[name] = options["on_" .. name] and by_lines(options["on_" .. name], max)
  end
  repeat
    local is_over = core.process.wait(process)
    for name, feed in pairs(feeds) do
      if not feed(core.process.take(process, name), is_over) then
        return name
      end
    end
  until is_over
end

local function last_line(text)
  return text and text:match("([^\n]+)\n*$")
end

local function name_of(signal)
  return "SIG" .. (SIGNALS[signal] or signal)
end

local function explain_end(program, result)
  local why = result.signal and "was ended by " .. name_of(result.signal)
    or ("exited with %d"):format(result.status)
  local line = last_line(result.stderr)
  return ("%s %s%s"):format(program, why, line and ": " .. line or "")
end

--- Nothing if all is well, else message and code.
local function judge(program, result, options, max)
  if result.too_large then
    local text = "%s wrote more than %d bytes to %s\nhint: raise max_output, or use %s_file"
    return text:format(program, max, result.too_large, result.too_large), "too_large"
  elseif result.timed_out then
    return ("%s was stopped after %g s"):format(program, options.timeout), "timeout"
  elseif options.check ~= false and result.signal then
    return explain_end(program, result), name_of(result.signal)
  elseif options.check ~= false and result.status ~= 0 then
    return explain_end(program, result), "exit_" .. result.status
  end
end

--- Why it did not start.
local function explain_start(program, options, message, code, subject)
  local name = SUBJECTS[subject]
  local what = name and ("%s %s"):format(name, checked.show(options[name])) or program
  return nil, ("%s: %s"):format(what, message), code
end

local function finish(process, program, options, max)
  local result, message, code, subject = core.process.result(process)
  if not result then
    return explain_start(program, options, message, code, subject)
  end
  for _, name in ipairs { "stdout", "stderr" } do
    result[name] = mode(options, name) == "capture" and core.process.take(process, name) or nil
  end
  message, code = judge(program, result, options, max)
  result.timed_out, result.too_large = nil, nil
  if message then
    return nil, message, code, result
  end
  return result
end

--- Runs one program and waits for its end, and for that of all that it has started.
function M.run(argv, options)
  options = check(argv, options)
  local max = checked.parse_bytes(options.max_output or MAX_OUTPUT)
  local process <close>, message, code = core.process.start(words_of(argv, options), {
    env = check_env(options.env), input = options.stdin, timeout = options.timeout,
    max_output = max, stdout = mode(options, "stdout"), stderr = mode(options, "stderr"),
  })
  if not process then
    return nil, message, code
  end
  local program = tostring(argv[1])
  local long = attend(process, options, max)
  if long then
    message = ("%s wrote a line of more than %d bytes to %s"):format(program, max, long)
    return nil, message, "too_large"
  end
  return finish(process, program, options, max)
end

return strict.close("jobq.process", M)
