--- Pages of help: what it is, examples first, then arguments and options from the command's table.
local M = {}

local WIDTH = 24

local function row(left, right)
  if #left >= WIDTH then
    return ("  %s\n  %s%s\n"):format(left, (" "):rep(WIDTH), right)
  end
  return ("  %s%s\n"):format(left .. (" "):rep(WIDTH - #left), right)
end

local function section(title, rows)
  if #rows == 0 then
    return ""
  end
  local lines = { "\n" .. title .. ":\n" }
  for _, each in ipairs(rows) do
    table.insert(lines, row(each[1], each[2]))
  end
  return table.concat(lines)
end

local function examples(list)
  local longest = 0
  for _, each in ipairs(list) do
    longest = each[2] and math.max(longest, #each[1]) or longest
  end
  local lines = {}
  for _, each in ipairs(list) do
    local words = "jobq " .. each[1]
    if each[2] then
      words = words .. (" "):rep(longest - #each[1]) .. "    " .. each[2]
    end
    table.insert(lines, "  " .. words .. "\n")
  end
  return "\nExamples:\n" .. table.concat(lines)
end

local function usage(name, command)
  local words = { "Usage: jobq", name }
  for _, argument in ipairs(command.arguments or {}) do
    table.insert(words, argument[1])
  end
  table.insert(words, #(command.options or {}) > 0 and "[options]" or nil)
  return table.concat(words, " ") .. "\n"
end

function M.of_command(name, command, global_options)
  return table.concat {
    usage(name, command),
    command.summary:sub(1, 1):upper() .. command.summary:sub(2) .. ".\n",
    command.text and "\n" .. command.text or "",
    examples(command.examples),
    section("Arguments", command.arguments or {}),
    section("Options", command.options or {}),
    section("Everywhere", global_options),
  }
end

--- names: in order; load(name) answers a command.
function M.of_program(names, load, global_options)
  local rows = {}
  for _, name in ipairs(names) do
    table.insert(rows, { name, load(name).summary })
  end
  return table.concat {
    "Usage: jobq [options] COMMAND ...\n",
    "Looks after the jobs of a database; jobq-run runs them.\n",
    examples {
      { [[enqueue email.send '{"to": ["ann@example.org"]}']] },
      { "jobs --status failed", "what went wrong lately" },
      { "job 42 --traceback", "and why" },
      { "retry 42", "once it is mended" },
      { "stats", "how many, by queue and kind" },
    },
    section("Commands", rows),
    section("Everywhere", global_options),
    "\nWithout --dsn: JOBQ_DSN, DATABASE_URL, PG*, else a private postgres in .jobq/pg.\n",
    "Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 no database, 5 refused,\n",
    "  6 problems found, 7 schema mismatch.\n",
  }
end

return M
