--- jobq completion SHELL
local complete = require "_complete"
local failure = require "_failure"

local SHELLS = { "bash", "zsh", "fish" }

return {
  offline = true,
  summary = "a script that makes a shell complete jobq's words",
  text = [[
Commands, options, and the values of those that take one of a few. The script says in its first
lines where it may be put.
]],
  arguments = { { "SHELL", "bash, zsh or fish", type = "choice", choices = SHELLS } },
  examples = {
    { "completion bash > /etc/bash_completion.d/jobq" },
    { "completion fish | source" },
  },

  run = function(context)
    if context.json then
      failure.raise("usage", "completion is for shells, it has no --json")
    end
    io.write(complete[context.arguments.shell](context:commands()))
  end,
}
