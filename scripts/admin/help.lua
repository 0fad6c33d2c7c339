--- jobq help [COMMAND|TOPIC]
local failure = require "_failure"
local topics = require "_topics"

return {
  offline = true,
  summary = "this page, or that of a command or a topic",
  arguments = { { "[COMMAND...]", "the command or the topic to explain" } },
  examples = { { "help" }, { "help enqueue" }, { "help workers cleanup" }, { "help filters" } },

  run = function(context)
    local name = table.concat(context.arguments.command, " ")
    local topic = topics.find(name)
    local page = topic and context:help_of_topic(topic)
      or name ~= "" and context:help_of_command(name)
      or context:help_of_program()
    if context.json then
      failure.raise("usage", "help is for people, it has no --json")
    end
    io.write(page)
  end,
}
