--- jobq help [COMMAND|TOPIC]
local failure = require "_failure"
local man = require "_man"
local topics = require "_topics"

local PROGRAMS = {
  jobq = function(context) return man.of_jobq(context:commands()) end,
  ["jobq-run"] = function() return man.of_help(io.read "a") end,
}

local function page(context, name)
  local topic = topics.find(name)
  if topic then
    return context:help_of_topic(topic)
  end
  return name ~= "" and context:help_of_command(name) or context:help_of_program()
end

return {
  offline = true,
  summary = "this page, or that of a command or a topic",
  arguments = { { "[COMMAND...]", "the command or the topic to explain" } },
  options = {
    {
      "--man PROGRAM", "a manual page in mdoc: jobq, or jobq-run from its --help on stdin",
      type = "choice", choices = { "jobq", "jobq-run" },
    },
  },
  examples = {
    { "help" },
    { "help workers cleanup" },
    { "help filters" },
    { "help --man jobq | man -l -" },
  },

  run = function(context)
    if context.json then
      failure.raise("usage", "help is for people, it has no --json")
    end
    local program = context.options.man
    io.write(program and PROGRAMS[program](context)
      or page(context, table.concat(context.arguments.command, " ")))
  end,
}
