--- The page of commands and options: the help, which comes from the tables that parse them.
local HEAD = [[
# Commands and options

Made by `scripts/docs` from the help of the programs. `scripts/man` makes manual pages of the same.
]]

local function read(command)
  local pipe <close> = assert(io.popen("NO_COLOR=1 COLUMNS=80 " .. command))
  return pipe:read "a"
end

local function add(out, title, text)
  table.insert(out, ("## %s\n\n```text\n%s\n```\n"):format(title, text:gsub("%s+$", "")))
end

--- The first words of each line of the overview that names a command or a topic.
local function names(overview)
  local found, inside = {}, false
  for line in overview:gmatch "[^\n]+" do
    local title = line:match "^(%u[%l ]+):$"
    if title then
      inside = title ~= "Examples" and title ~= "Everywhere"
    elseif inside then
      local name = line:match "^  (%l[%l -]-)  "
      table.insert(found, name)
    end
  end
  return found
end

--- The text of the page. The programs are in `bin`.
return function(bin)
  local out = { HEAD }
  local overview = read(("'%s/jobq' --help"):format(bin))
  add(out, "jobq-run", read(("'%s/jobq-run' --help"):format(bin)))
  add(out, "jobq", overview)
  for _, name in ipairs(names(overview)) do
    add(out, "jobq " .. name, read(("'%s/jobq' help %s"):format(bin, name)))
  end
  return table.concat(out, "\n")
end
