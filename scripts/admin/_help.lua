--- Pages of help: what it is, examples first, then arguments and options from the command's table.
local topics = require "_topics"

local M = {}

M.INTRODUCTION = "Looks after the jobs of a database; jobq-run runs them."

local WIDTH = 24
local LINE = 80

--- Lines of at most that many columns, broken at blanks.
function M.wrap(text, columns)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and #line + 1 + #word > columns then
      table.insert(lines, line)
      line = word
    else
      line = line and line .. " " .. word or word
    end
  end
  table.insert(lines, line)
  return lines
end

--- Text whose paragraphs have a blank line between them, broken to fit.
function M.paragraphs(text)
  local list = {}
  for each in (text .. "\n\n"):gmatch "(.-)\n\n+" do
    table.insert(list, table.concat(M.wrap(each, LINE), "\n") .. "\n")
  end
  return table.concat(list, "\n")
end

local function row(left, right)
  local lines = M.wrap(right, LINE - WIDTH - 2)
  if #left >= WIDTH then
    table.insert(lines, 1, "")
  end
  for i, each in ipairs(lines) do
    local line = ("  %-" .. WIDTH .. "s%s"):format(i == 1 and left or "", each)
    lines[i] = line:gsub("%s+$", "") .. "\n"
  end
  return table.concat(lines)
end

local function section(title, rows)
  if #rows == 0 then
    return ""
  end
  local lines = { "\n" .. title .. ":\n" }
  for _, each in ipairs(rows) do
    local short = each.short and ("-%s, "):format(each.short) or ""
    table.insert(lines, row(short .. each[1], each[2]))
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

--- Only named: jobq help explains them.
local function everywhere(global_options)
  local names = {}
  for i, each in ipairs(global_options) do
    names[i] = each[1]
  end
  local lines = M.wrap(table.concat(names, "  "), LINE - 2)
  return "\nEverywhere:\n  " .. table.concat(lines, "\n  ") .. "\n"
end

function M.of_command(name, command, global_options)
  return table.concat {
    usage(name, command),
    command.summary:sub(1, 1):upper() .. command.summary:sub(2) .. ".\n",
    command.text and "\n" .. M.paragraphs(command.text) or "",
    examples(command.examples),
    section("Arguments", command.arguments or {}),
    section("Options", command.options or {}),
    everywhere(global_options),
  }
end

local function topics_section()
  local rows = {}
  for i, topic in ipairs(topics) do
    rows[i] = { topic.name, topic.summary }
  end
  return section("Topics", rows)
end

function M.of_topic(topic)
  return topic.summary:sub(1, 1):upper() .. topic.summary:sub(2) .. ".\n\n" .. topic.text
end

--- What a command's `group` may be; a command without is one of the last.
M.GROUPS = { "Jobs", "Schedules", "Kinds and workers", "Handlers", "Database", "Other" }

local function commands(names, load)
  local rows, parts = {}, {}
  for _, name in ipairs(names) do
    local command = load(name)
    local group = command.group or M.GROUPS[#M.GROUPS]
    rows[group] = rows[group] or {}
    table.insert(rows[group], { name, command.summary })
  end
  for i, group in ipairs(M.GROUPS) do
    parts[i] = section(group, rows[group] or {})
  end
  return table.concat(parts)
end

--- names: in order; load(name) answers a command.
function M.of_program(names, load, global_options)
  return table.concat {
    "Usage: jobq [options] COMMAND ...\n",
    M.INTRODUCTION .. "\n",
    examples {
      { [[enqueue email.send '{"to": ["ann@example.org"]}']] },
      { "jobs --status failed", "what went wrong lately" },
      { "job 42 --traceback", "and why" },
      { "retry 42", "once it is mended" },
      { "stats", "how many, by queue and kind" },
    },
    commands(names, load),
    section("Everywhere", global_options),
    topics_section(),
    "\nWithout --dsn: JOBQ_DSN, DATABASE_URL, jobq.conf, PG*, else a private postgres\n",
    "in .jobq/pg. jobq config tells where each value is from.\n",
    "Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 no database, 5 refused,\n",
    "  6 problems found, 7 schema mismatch, 130 interrupted.\n",
  }
end

return M
