--- The command line after the name of the command: options and arguments against their tables.
--
-- An option is { "--queue Q", "help", type = , many = , ... }; without a value name it is a switch;
-- with "[=DIR]" the value may be missing; `short = "f"` makes it -f, too. An argument is { "ID",
-- "help" }; { "[JSON]", ... } may be missing, and { "ID...", ... } takes one or more. Types are the
-- functions of M.types: they get the text and the row.
local failure = require "_failure"
local near = require "_near"
local text = require "_text"
local time = require "_time"

local M = { types = {} }

function M.types.integer(word, row)
  local number = word:match "^%-?%d+$" and math.tointeger(tonumber(word))
  if not number or number < row.min or number > row.max then
    return nil, ("'%s' is not an integer from %d to %d"):format(word, row.min, row.max)
  end
  return number
end

--- The id of a job.
function M.types.id(word)
  local number = word:match "^%d+$" and math.tointeger(tonumber(word))
  if not number or number < 1 then
    return nil, ("'%s' is not the id of a job, expected a positive integer"):format(word)
  end
  return number
end

--- In seconds; row.min is the shortest.
function M.types.duration(word, row)
  local seconds, message, hint = time.parse(word)
  if seconds and seconds < (row.min or 0) then
    return nil, ("'%s' is too short, expected at least %s"):format(word, time.span(row.min))
  end
  return seconds, message, hint
end

function M.types.choice(word, row)
  for _, choice in ipairs(row.choices) do
    if word == choice then
      return word
    end
  end
  local expected = table.concat(row.choices, ", ")
  return nil, ("'%s' is none of %s"):format(word, expected), near.hint(word, row.choices)
end

--- Several of row.choices with commas between them, as a list.
function M.types.list(word, row)
  local list = {}
  for part in word:gmatch "[^,]+" do
    local value, message, hint = M.types.choice(part, row)
    if not value then
      return nil, message, hint
    end
    table.insert(list, value)
  end
  return list[1] and list or nil, ("'%s' names none of %s"):format(
    word, table.concat(row.choices, ", "))
end

--- KEY=VALUE, as { key, value }.
function M.types.pair(word)
  local key, value = word:match "^([^=]+)=(.*)$"
  if not key then
    return nil, ("'%s' is not of the form name=value"):format(word)
  end
  return { key, value }
end

--- How long ago, or a time: { ago = seconds } or { at = text }.
function M.types.moment(word)
  local seconds = time.parse(word)
  if seconds then
    return { ago = seconds }
  elseif word:find "^%d%d%d%d%-%d%d%-%d%d" then
    return { at = word }
  end
  return nil, ("'%s' is neither a duration nor a time"):format(word),
    "write 30m, 24h, 7d or 2030-12-24T08:00:00Z"
end

--- name, value name or nil, "required" | "optional"
local function describe(row)
  local name, rest = row[1]:match "^%-%-([%w%-]+)(.*)$"
  local optional = rest:match "^%[=(.+)%]$"
  return name, optional or rest:match "^ (.+)$", optional and "optional" or "required"
end

M.describe = describe

local function find_option(rows, name)
  local names = {}
  for _, row in ipairs(rows) do
    local known = describe(row)
    if known == name then
      return row
    end
    table.insert(names, "--" .. known)
  end
  failure.raise("usage", ("unknown option '--%s'"):format(name),
    near.hint("--" .. name, names) or "known are " .. table.concat(names, ", ", 1, rows.own or nil))
end

local function convert(row, label, word)
  if not row.type then
    return word
  end
  local value, message, hint = M.types[row.type](word, row)
  if value == nil then
    failure.raise("usage", ("%s: %s"):format(label, text.clean(message)), hint)
  end
  return value
end

local function key_of(name)
  return (name:gsub("%-", "_"))
end

local function store(values, row, name, value)
  local key = key_of(name)
  if row.many then
    values[key] = values[key] or {}
    table.insert(values[key], value)
  else
    values[key] = value
  end
end

-- What follows the option's name on the command line, if it is its value.
local function take_value(words, at, name, value_name)
  local value = words[at + 1]
  if value == nil or value:match "^%-%-." then
    failure.raise("usage", ("--%s needs a value: --%s %s"):format(name, name, value_name))
  end
  return value
end

-- Reads the option at words[at]; answers the place of the next word.
local function read_option(rows, words, at, values)
  local name, inline = words[at]:match "^%-%-([^=]*)=?(.*)$"
  local has_inline = words[at]:find("=", 1, true) ~= nil
  local row = find_option(rows, name)
  local _, value_name, need = describe(row)
  if not value_name then
    if has_inline then
      failure.raise("usage", ("--%s takes no value"):format(name))
    end
    store(values, row, name, true)
    return at + 1
  elseif has_inline then
    store(values, row, name, convert(row, "--" .. name, inline))
    return at + 1
  elseif need == "optional" then
    store(values, row, name, true)
    return at + 1
  end
  local value = take_value(words, at, name, value_name)
  store(values, row, name, convert(row, "--" .. name, value))
  return at + 2
end

local function is_option(word)
  return word:match "^%-." ~= nil
end

local function long_for(rows, word)
  for _, row in ipairs(rows) do
    if row.short and "-" .. row.short == word then
      return "--" .. describe(row)
    end
  end
end

--- Splits words into options and plain words. `first_only` stops at the first plain word.
---@return table values, string[] plain, integer next
function M.scan(rows, words, at, first_only)
  local values, plain = {}, {}
  local only_plain = false
  while words[at] do
    local word = long_for(rows, words[at]) or words[at]
    if only_plain or not is_option(word) then
      table.insert(plain, word)
      at = at + 1
      if first_only then
        break
      end
    elseif word == "--" then
      only_plain = true
      at = at + 1
    elseif word:sub(1, 2) ~= "--" then
      failure.raise("usage", ("unknown option '%s'"):format(word))
    else
      words[at] = word
      at = read_option(rows, words, at, values)
    end
  end
  return values, plain, at
end

local function argument_name(row)
  local name = row[1]:gsub("[%[%]%.]", "")
  return name, name:lower()
end

-- The plain words for one argument, from `at` on; answers where the next one begins.
local function bind(row, plain, at, values, hint)
  local name, key = argument_name(row)
  local needed = not row[1]:find "^%["
  if plain[at] == nil and needed then
    failure.raise("usage", ("%s is missing: %s"):format(name, row[2]), hint)
  elseif row[1]:find("...", 1, true) then
    values[key] = {}
    for i = at, #plain do
      table.insert(values[key], convert(row, name, plain[i]))
    end
    return #plain + 1
  elseif plain[at] ~= nil then
    values[key] = convert(row, name, plain[at])
  end
  return at + 1
end

--- The plain words by the names of the arguments, in lower case; hint is where to read more.
function M.bind(rows, plain, hint)
  local values, at = {}, 1
  for _, row in ipairs(rows) do
    at = bind(row, plain, at, values, hint)
  end
  if plain[at] then
    failure.raise("usage", ("unexpected argument '%s'"):format(text.clean(plain[at])), hint)
  end
  return values
end

return M
