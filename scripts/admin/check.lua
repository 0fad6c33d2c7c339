--- jobq check: loads handlers as a worker does, and says what is wrong.
local run = require "_run"

local DIR = "handlers"

return {
  summary = "load handlers as a worker does, and say what is wrong",
  group = "Handlers",
  arguments = { { "[DIR...]", "folders and files of handlers; default handlers" } },
  options = {
    { "--strict", "names of globals that do not exist are mistakes, too" },
    { "--set NAME=VALUE", "a setting that the handlers need; may be repeated", many = true },
  },
  examples = {
    { "check" },
    { "check --strict handlers/ more/" },
  },
  text = [[
Wrong options, kinds that are there twice, mistyped names of the API, assignments to
globals and calls that wait at file level are found without a database. Exit status 3
if something is wrong.
]],

  run = function(context)
    local words = { run.program_dir() .. "/jobq-run", "--check" }
    for _, setting in ipairs(context.options.set or {}) do
      table.insert(words, "--set=" .. setting)
    end
    if context.options.config then
      table.insert(words, "--config=" .. context.options.config)
    end
    if context.options.strict then
      table.insert(words, "--set=handlers.strict=true")
    end
    table.insert(words, "--")
    local dirs = context.arguments.dir
    table.move(#dirs > 0 and dirs or { DIR }, 1, math.max(#dirs, 1), #words + 1, words)
    return run.run(words)
  end,
}
