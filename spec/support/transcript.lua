--- Commands of a console block with what they print, and whether they did print that.
--
--     transcript.parse(text)                { { command, expected = { lines } }, ... }
--     transcript.match(expected, printed)   whether they agree
--
-- "$ " begins a command, "> " goes on with it. Of what is expected, "..." is any text, in a line of
-- its own any lines; numbers that are long or have a point or a colon may be others (times, pids,
-- sizes); spaces may be more or fewer, because the width of a column depends on its content. A
-- command without any lines below it is only run.
local M = {}

function M.parse(text)
  local commands = {}
  for line in text:gmatch "([^\n]*)\n" do
    local command, more = line:match "^%$ (.*)", line:match "^> ?(.*)"
    local last = commands[#commands]
    if command then
      table.insert(commands, { command, expected = {} })
    elseif more and last and #last.expected == 0 then
      last[1] = last[1] .. "\n" .. more
    elseif last then
      table.insert(last.expected, line)
    else
      error(("'%s' is above the first command"):format(line), 0)
    end
  end
  for _, command in ipairs(commands) do
    while command.expected[#command.expected] == "" do
      table.remove(command.expected)
    end
  end
  return commands
end

local function number_pattern(number)
  if number:find "[.:]%d" or #number >= 3 then
    return "%d[%d:.-]*"
  end
  return (number:gsub("%p", "%%%0"))
end

--- The Lua pattern for a line that is expected.
function M.pattern(line)
  local out, at = { "^" }, 1
  line = line:gsub("%s+$", "")
  while at <= #line do
    local number = line:match("^%d[%d:.-]*", at)
    local spaces = line:match("^%s+", at)
    if line:find("^%.%.%.", at) then
      table.insert(out, ".-")
      at = at + 3
    elseif number then
      number = number:gsub("%.%.%.$", "")
      table.insert(out, number_pattern(number))
      at = at + #number
    elseif spaces then
      table.insert(out, "%s+")
      at = at + #spaces
    else
      table.insert(out, (line:sub(at, at):gsub("%p", "%%%0")))
      at = at + 1
    end
  end
  table.insert(out, "%s*$")
  return table.concat(out)
end

local function match_from(patterns, at, printed, from)
  if at > #patterns then
    return from > #printed or nil
  elseif patterns[at].is_gap then
    for next_from = from, #printed + 1 do
      if match_from(patterns, at + 1, printed, next_from) then
        return true
      end
    end
    return nil
  end
  return printed[from] and printed[from]:find(patterns[at].text)
    and match_from(patterns, at + 1, printed, from + 1)
end

--- Whether these are the lines that were expected, no more and no less.
function M.match(expected, printed)
  local patterns, lines = {}, table.move(printed, 1, #printed, 1, {})
  while (lines[#lines] or "x"):find "^%s*$" do
    table.remove(lines)
  end
  for _, line in ipairs(expected) do
    local is_gap = line:find "^%s*%.%.%.$" ~= nil
    table.insert(patterns, { is_gap = is_gap, text = not is_gap and M.pattern(line) })
  end
  return match_from(patterns, 1, lines, 1) and true or false
end

return M
