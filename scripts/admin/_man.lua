--- Manual pages in mdoc(7), from the tables of the commands, or from a page of --help.
local help = require "_help"
local topics = require "_topics"

local M = {}

--- Text that stands for itself: no request, no escape.
local function plain(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"))
end

local LINE = 70 -- before escapes; mandoc wants 80

-- A sentence begins a line, as mdoc wants it; none ends in a blank.
local function prose(text)
  local lines = {}
  for paragraph in (text .. "\n\n"):gmatch "(.-)\n\n+" do
    table.insert(lines, lines[1] and ".Pp" or nil)
    local joined = paragraph:gsub("%s+", " "):gsub("%s+$", "")
    joined = joined:gsub("([.?!]) (%u)", "%1\n%2")
    for line in (joined .. "\n"):gmatch "(.-)\n" do
      for _, part in ipairs(help.wrap(line, LINE)) do
        table.insert(lines, plain(part))
      end
    end
  end
  return table.concat(lines, "\n")
end

local function date()
  local at = tonumber(os.getenv "SOURCE_DATE_EPOCH" or "") or os.time()
  return (os.date("!%B %d, %Y", at):gsub(" 0", " "))
end

local function head(name, summary)
  return table.concat({
    ".Dd " .. date(), (".Dt %s 1"):format(name:upper()), ".Os", ".Sh NAME", ".Nm " .. name,
    ".Nd " .. summary,
  }, "\n")
end

local function literal(lines)
  local out = { ".Bd -literal -offset indent" }
  for _, line in ipairs(lines) do
    table.insert(out, line == "" and "" or plain(line))
  end
  table.insert(out, ".Ed")
  return table.concat(out, "\n")
end

local function list(rows)
  local out = { ".Bl -tag -width Ds" }
  for _, row in ipairs(rows) do
    local short = row.short and ("-%s, "):format(row.short) or ""
    table.insert(out, ".It Sy " .. plain(short .. row[1]))
    table.insert(out, prose(row[2]))
  end
  table.insert(out, ".El")
  return table.concat(out, "\n")
end

local function examples_of(command)
  local lines = {}
  for _, example in ipairs(command.examples) do
    table.insert(lines, example[2] and "# " .. example[2] or nil)
    table.insert(lines, "jobq " .. example[1])
  end
  return literal(lines)
end

local function sentence(summary)
  return prose(summary:sub(1, 1):upper() .. summary:sub(2) .. ".")
end

local function of_command(each)
  local command = each.command
  local words = { "jobq " .. each.name }
  for _, argument in ipairs(command.arguments or {}) do
    table.insert(words, argument[1])
  end
  local out = { (".Ss jobq %s"):format(plain(each.name)), literal { table.concat(words, " ") },
    sentence(command.summary) }
  if command.text then
    table.insert(out, prose(command.text))
  end
  for _, rows in ipairs { command.arguments or {}, command.options or {} } do
    table.insert(out, rows[1] and list(rows) or nil)
  end
  table.insert(out, ".Pp\nExamples:")
  table.insert(out, examples_of(command))
  return table.concat(out, "\n")
end

local function commands_in(group, commands)
  local out = {}
  for _, each in ipairs(commands) do
    if (each.command.group or help.GROUPS[#help.GROUPS]) == group then
      table.insert(out, of_command(each))
    end
  end
  return out
end

local function of_topic(heading, name)
  local lines = {}
  for line in topics.find(name).text:gmatch "(.-)\n" do
    table.insert(lines, line)
  end
  return heading .. "\n" .. literal(lines)
end

function M.of_jobq(commands, global_options)
  local out = {
    head("jobq", "look after the jobs of a database"), ".Sh SYNOPSIS", ".Nm jobq",
    ".Op Ar options", ".Ar command", ".Op Ar argument ...", ".Sh DESCRIPTION",
    prose(help.INTRODUCTION), "Options may stand before and after the command.",
    list(global_options), ".Sh COMMANDS",
  }
  for _, group in ipairs(help.GROUPS) do
    table.move(commands_in(group, commands), 1, #commands, #out + 1, out)
  end
  table.insert(out, ".Sh CONVENTIONS")
  for _, topic in ipairs(topics) do
    if topic.name ~= "exit-status" then
      table.insert(out, of_topic(".Ss " .. topic.summary:gsub("^%l", string.upper), topic.name))
    end
  end
  table.insert(out, ".Sh FILES")
  table.insert(out, list {
    { "./jobq.conf, ~/.config/jobq/jobq.conf, /etc/jobq/jobq.conf",
      "Settings, NAME = VALUE a line. The first wins over the others." },
    { ".jobq/pg", "The private postgres of a folder, where no dsn is given." },
  })
  table.insert(out, of_topic(".Sh EXIT STATUS", "exit-status"))
  table.insert(out, ".Sh SEE ALSO\n.Sy jobq\\-run Ns (1)")
  return table.concat(out, "\n") .. "\n"
end

-- "  --name ARG   help   [default]" as a row; nil for other lines.
local function option_row(line)
  local option, rest = line:match "^  (%-.-)%s%s+(%S.*)$"
  if not option then
    return line:match "^  %-" and { line:match "^%s+(.*)$", "Help, and the version." }
  end
  local text, default = rest:match "^(.-)%s%s+%[(.*)%]$"
  return { option, (text or rest) .. (default and (" [%s]"):format(default) or "") .. "." }
end

-- The lines of a page as sections: { title =, lines = }; the first has no title.
local function sections_of(page)
  local sections = { { lines = {} } }
  for line in (page .. "\n"):gmatch "(.-)\n" do
    local title = line:match "^(%u[^:]*):$" or line:match "^(%u[^:]*%(.*%)):$"
    if title then
      table.insert(sections, { title = title, lines = {} })
    else
      table.insert(sections[#sections].lines, line)
    end
  end
  return sections
end

local function add_section(out, section)
  local rows, rest = {}, {}
  for _, line in ipairs(section.lines) do
    local row = option_row(line)
    table.insert(row and rows or rest, row or line)
  end
  if rows[1] then
    table.insert(out, ".Ss " .. plain(section.title))
    table.insert(out, list(rows))
  end
  return rest
end

local function trim(lines)
  while lines[#lines] == "" do
    table.remove(lines)
  end
  while lines[1] == "" do
    table.remove(lines, 1)
  end
  return lines
end

local HEADINGS = { { "^Signals: (.*)", "SIGNALS" }, { "^Exit status: (.*)", "EXIT STATUS" } }

-- The lines at the end of a page: a paragraph each, those that are indented go on with it.
local function add_rest(out, lines)
  local text = table.concat(trim(lines), "\n"):gsub("\n  +", " ")
  table.insert(out, ".Sh ENVIRONMENT")
  for line in (text .. "\n"):gmatch "(.-)\n" do
    for _, heading in ipairs(HEADINGS) do
      local rest = line:match(heading[1])
      if rest then
        table.insert(out, ".Sh " .. heading[2])
        line = rest
      end
    end
    table.insert(out, prose(line))
  end
end

local function unindent(lines)
  local out = {}
  for i, line in ipairs(trim(lines)) do
    out[i] = line:gsub("^  ", "")
  end
  return out
end

--- The page of jobq-run --help, whatever options it has: usage, a sentence, examples, sections of
--- options, and lines about the rest.
function M.of_help(page)
  local sections = sections_of(page)
  local first = sections[1].lines
  local usage = first[1]:match "^Usage: jobq%-run (.*)$" or ""
  local out = {
    head("jobq-run", "run the jobs of a database"), ".Sh SYNOPSIS", ".Nm jobq\\-run",
    ".Ar " .. plain(usage), ".Sh DESCRIPTION", prose(table.concat(first, " ", 2)),
    ".Sh OPTIONS",
  }
  local examples, rest
  for i = 2, #sections do
    if sections[i].title == "Examples" then
      examples = unindent(sections[i].lines)
    else
      rest = add_section(out, sections[i])
    end
  end
  add_rest(out, rest or {})
  table.insert(out, ".Sh EXAMPLES")
  table.insert(out, literal(examples or {}))
  table.insert(out, ".Sh SEE ALSO\n.Sy jobq Ns (1)")
  return table.concat(out, "\n") .. "\n"
end

return M
