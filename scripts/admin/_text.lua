--- Text from the database on a terminal: what it could do there is shown instead.
local host = require "jobq.host"

local M = {}

-- What moves the cursor, changes modes or turns the direction of writing.
local function is_unsafe(code)
  return code < 0x20
    or (code >= 0x7f and code < 0xa0)
    or code == 0x200e
    or code == 0x200f
    or (code >= 0x2028 and code <= 0x202e)
    or (code >= 0x2066 and code <= 0x2069)
end

local NAMES = { [9] = "\\t", [10] = "\\n", [13] = "\\r" }

local function escape(char)
  local code = utf8.codepoint(char)
  if not is_unsafe(code) then
    return char
  end
  return NAMES[code] or ("\\u%04x"):format(code)
end

--- One line: control characters become \n, \u001b ...; inside JSON text that changes no value.
function M.clean(text)
  if not utf8.len(text) then
    text = text:gsub("[\x80-\xff]", function(byte)
      return ("\\x%02x"):format(byte:byte())
    end)
  end
  return (text:gsub("[%c\x7f]", escape):gsub("[\xc2-\xf4][\x80-\xbf]+", escape))
end

--- Its lines, each clean, tabs as two spaces.
function M.lines(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    table.insert(lines, M.clean((line:gsub("\t", "  "))))
  end
  if lines[#lines] == "" then
    table.remove(lines)
  end
  return lines
end

--- Columns on the terminal; text is clean.
function M.width(text)
  if not text:find "[\x80-\xff]" then
    return #text
  end
  local width = 0
  for _, code in utf8.codes(text) do
    width = width + host.width(code)
  end
  return width
end

--- At most that many columns, the cut marked.
function M.cut(text, columns)
  if M.width(text) <= columns then
    return text
  end
  local width = 1
  for at, code in utf8.codes(text) do
    width = width + host.width(code)
    if width > columns then
      return text:sub(1, at - 1) .. "…"
    end
  end
  return text
end

--- "1 job", "2 jobs".
function M.count(n, noun)
  return ("%d %s%s"):format(n, noun, n == 1 and "" or "s")
end

return M
