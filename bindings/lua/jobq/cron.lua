--- Whether a cron line is one, before a database is there to read it. What it means, and when it
--- fires, only the database says (jobq.read_cron), so that no two ever disagree; the messages are
--- the same, which a spec holds together.
local M = {}

local MONTHS = {
  "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
}
local MONTHS_WHOLE = {
  "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
  "november", "december",
}
local DAYS_OF = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local WEEKDAYS = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }
local FIELDS = {
  { name = "second", lowest = 0, highest = 59 },
  { name = "minute", lowest = 0, highest = 59 },
  { name = "hour", lowest = 0, highest = 23 },
  { name = "day", lowest = 1, highest = 31 },
  { name = "month", lowest = 1, highest = 12, names = MONTHS },
  { name = "weekday", lowest = 0, highest = 6, names = WEEKDAYS },
}
local SHORTHANDS = {
  ["@yearly"] = true, ["@annually"] = true, ["@monthly"] = true, ["@weekly"] = true,
  ["@daily"] = true, ["@midnight"] = true, ["@hourly"] = true, ["@minutely"] = true,
}
local EXAMPLE = "e.g. 30 3 * * mon-fri: half past three, monday to friday"
local LONGEST_EVERY_S = 366 * 86400

local function fail(hint, text, ...)
  error({ message = text:format(...), hint = hint }, 0)
end

local function fail_in(field, hint, text, ...)
  fail(hint, "%s (field %d): %s", field.name, field.number, text:format(...))
end

local function find_name(field, word)
  for i, name in ipairs(field.names or {}) do
    if name == word then
      return i + field.lowest - 1
    end
  end
  local known = field.names and "known are " .. table.concat(field.names, ", ")
  fail_in(field, known or ("expected %d to %d"):format(field.lowest, field.highest),
    '"%s" is no name', word)
end

--- A number or a name as a number. A weekday may be 7, too.
local function value_of(field, word)
  local value = math.tointeger(tonumber(word)) or find_name(field, word)
  local highest = field.name == "weekday" and 7 or field.highest
  if value < field.lowest or value > highest then
    fail_in(field, nil, '"%s" is out of range, expected %d to %d', word, field.lowest, highest)
  end
  return value
end

local function is_word(text)
  return not text or text:find "^%d%d?%d?%d?$" or text:find "^%a+$"
end

local function fail_to_read(field, part)
  local names = field.names
  local hint = "write *, 5, 1-5, */15, 1-30/2, or several of these with commas"
  if names then
    hint = ("%s; or %s to %s"):format(hint, names[1], names[#names])
  end
  fail_in(field, hint, '"%s" is not understood', part)
end

--- "*/15", "1-5/2", "mon": first, last and step as they are written, nil where they are not.
local function split(field, part)
  local body, step = part:match "^([^/]*)/(%d%d?%d?%d?)$"
  body = body or part
  if body == "*" then
    return nil, nil, step
  end
  local from, to = body:match "^([^-]+)-([^-]+)$"
  from = from or body
  if not (is_word(from) and is_word(to)) then
    fail_to_read(field, part)
  end
  return from, to, step
end

--- First and last value and the step between.
local function read_range(field, part)
  local from, to, step = split(field, part)
  local first = from and value_of(field, from) or field.lowest
  local last = to and value_of(field, to)
  if not last then
    last = from and not step and first or field.highest
  end
  return first, last, tonumber(step or 1)
end

--- Adds what a part of a field means to the set.
local function read_part(field, part, set)
  if part == "l" and field.name == "day" then
    set[32] = true
    return
  end
  local first, last, step = read_range(field, part)
  local most = field.highest - field.lowest + 1
  if step < 1 or step > most then
    fail_in(field, nil, "step %d is out of range, expected 1 to %d", step, most)
  elseif last < first and field.name ~= "weekday" then
    fail_in(field, ("write %d-%d,%d-%d"):format(first, field.highest, field.lowest, last),
      "range %s goes backwards", part)
  end
  for value = first, last, step do
    set[value] = true
  end
end

local function read_field(field, text)
  local set = {}
  for part in (text:lower() .. ","):gmatch "([^,]*)," do
    read_part(field, part, set)
  end
  return set
end

--- Raises if every day that is asked for lies behind the end of every month that is.
local function check_days(days, months)
  local first_day, first_month = 1, nil
  while not days[first_day] do
    first_day = first_day + 1
  end
  for month = 12, 1, -1 do
    if months[month] and (first_day <= DAYS_OF[month] or first_day == 32) then
      return
    end
    first_month = months[month] and month or first_month
  end
  fail(("%s has no day %d"):format(MONTHS_WHOLE[first_month], first_day), "it never fires")
end

local function read_fields(words)
  local sets, skipped = {}, 6 - #words
  for number, word in ipairs(words) do
    local field = setmetatable({ number = number }, { __index = FIELDS[number + skipped] })
    sets[field.name] = read_field(field, word)
    sets[number + skipped] = word
  end
  local is_either = sets[4]:sub(1, 1) ~= "*" and sets[6]:sub(1, 1) ~= "*"
  if not is_either then
    check_days(sets.day, sets.month)
  end
end

local function check_every(span)
  local seconds, rest = 0, span
  for _, unit in ipairs { { "d", 86400, 5 }, { "h", 3600, 5 }, { "m", 60, 6 }, { "s", 1, 8 } } do
    local number, after = rest:match("^(%d+)" .. unit[1] .. "(.*)$")
    if number and #number <= unit[3] then
      seconds, rest = seconds + tonumber(number) * unit[2], after
    end
  end
  if rest ~= "" or seconds < 1 or seconds > LONGEST_EVERY_S then
    fail("write @every 90s, 15m, 1h30m or 2d",
      '@every "%s" is not understood, expected 1s to 366d', span)
  end
end

local function read(line)
  local words = {}
  for word in line:gmatch "%S+" do
    words[#words + 1] = word
  end
  if #line > 500 then
    fail(nil, "it is too long, expected a cron line")
  elseif #words == 2 and words[1]:lower() == "@every" then
    check_every(words[2]:lower())
  elseif line:find "^%s*@" then
    if #words > 1 or not SHORTHANDS[words[1]:lower()] then
      fail("known are @yearly, @monthly, @weekly, @daily, @hourly, @minutely and @every 90s",
        '"%s" is not known', line)
    end
  elseif #words ~= 5 and #words ~= 6 then
    fail(nil, "it has %d fields, expected 5 (minute hour day month weekday) or 6 (second first)",
      #words)
  else
    read_fields(words)
  end
end

--- What is wrong with a cron line, and a hint; nil if nothing is.
---@param line string
---@return string? message, string? hint
function M.problem(line)
  local ok, problem = pcall(read, line)
  if ok then
    return nil
  elseif type(problem) ~= "table" then
    error(problem, 0)
  end
  local shown = #line > 60 and line:sub(1, 60) .. "..." or line
  return ('schedule "%s": %s'):format(shown, problem.message), problem.hint or EXAMPLE
end

return M
