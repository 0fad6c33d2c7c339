--- jobq run-once: one run of a kind, as a worker would do it, without a queue.
local codec = require "jobq.json"
local failure = require "_failure"
local json = require "_json"
local run = require "_run"
local text = require "_text"

local function read_args(given)
  local body, label = given or "{}", "JSON"
  if body == "-" then
    body, label = io.read "a", "stdin"
  end
  local value, message = codec.decode(body)
  if value == nil and message then
    failure.raise("usage", ("%s: %s"):format(label, text.clean(message)))
  end
  return body
end

--- What jobq-run says of the run; see core/app/once.h.
local function parse(output)
  local report, at = {}, 1
  while at <= #output do
    local name, value, next_at = output:match("^(%l+) ([^\n]*)\n()", at)
    if not name then
      return nil
    elseif name == "error" or name == "result" then
      local size = tonumber(value)
      report[name], at = output:sub(next_at, next_at + size - 1), next_at + size + 1
    else
      report[name], at = name == "verdict" and value or tonumber(value), next_at
    end
  end
  return report.verdict and report
end

local function show(context, report)
  local line = ("%s in %g s"):format(report.verdict, report.seconds or 0)
  if report.delay then
    line = ("%s, again in %g s"):format(line, report.delay)
  end
  context:print(line)
  for _, each in ipairs(report.error and text.lines(report.error) or {}) do
    context:print(each)
  end
  if report.result then
    context:print(text.clean(report.result))
  end
end

local function show_json(context, report)
  context:print_json(json.object {
    { "verdict", report.verdict }, { "seconds", report.seconds }, { "delay", report.delay },
    { "error", report.error }, { "result", json.raw(report.result) },
  })
end

local function command_line(context)
  local options = context.options
  local words = {
    run.program_dir() .. "/jobq-run", "--run-once=" .. context.arguments.kind,
    ("--attempt=%d"):format(options.attempt or 1),
  }
  for _, setting in ipairs(options.set or {}) do
    table.insert(words, "--set=" .. setting)
  end
  if options.rollback then
    table.insert(words, "--set=sql.rollback=true")
  end
  for _, name in ipairs { "config", "dsn" } do
    if options[name] then
      table.insert(words, ("--%s=%s"):format(name, options[name]))
    end
  end
  table.insert(words, "--")
  local dirs = options.handlers or { "handlers" }
  return table.move(dirs, 1, #dirs, #words + 1, words)
end

return {
  summary = "run a kind once, without the queue",
  group = "Handlers",
  arguments = {
    { "KIND", "e.g. email.send" },
    { "[JSON]", "its arguments; - reads them from stdin; {} by default" },
  },
  options = {
    { "--handlers DIR", "a folder or file of handlers; may be repeated; default handlers",
      many = true },
    { "--attempt N", "which attempt it is for the handler", type = "integer", min = 1,
      max = 32767 },
    { "--rollback", "undo what it does by jobq.sql and jobq.enqueue" },
    { "--set NAME=VALUE", "a setting that the handlers need; may be repeated", many = true },
  },
  examples = {
    { [[run-once email.send '{"to": "ann@example.org", "subject": "hi", "text": "hello"}']] },
    { "run-once report.daily --attempt 3 --rollback" },
  },
  text = [[
The run is a real one: what it sends is sent, and with --rollback too. Its log goes to
stderr. Exit status 1 if it fails, 3 if there is no such kind or the handlers do not load.
]],

  run = function(context)
    local args = read_args(context.arguments.json)
    local output, status = run.capture(command_line(context), args)
    local report = parse(output)
    if not report then
      return status -- jobq-run has said why
    end
    local tell = context.json and show_json or show
    tell(context, report)
    return status
  end,
}
