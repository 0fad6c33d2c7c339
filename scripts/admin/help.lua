--- jobq help [COMMAND]
return {
  summary = "this page, or that of a command",
  arguments = { { "[COMMAND...]", "the command to explain" } },
  examples = { { "help" }, { "help enqueue" }, { "help workers cleanup" } },

  run = function(context)
    local name = table.concat(context.arguments.command, " ")
    io.write(name ~= "" and context:help_of_command(name) or context:help_of_program())
  end,
}
