--- Writes down what a release relies on; scripts/record-release runs it from the top of the tree.
local files = require "support.files"
local interface = require "db.interface"
local postgres = require "support.postgres"

local folder = "spec/releases/" .. arg[1]

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  assert(file:write(text))
  assert(file:close())
end

local function lines_of(set)
  local lines = {}
  for line in pairs(set) do
    table.insert(lines, line)
  end
  table.sort(lines)
  return table.concat(lines, "\n") .. "\n"
end

for _, path in ipairs(files.glob "sql/queries/*.sql") do
  write(path:match "[^/]+$", files.read(path))
end
local db = postgres.database()
write("interface.txt", lines_of(interface.read(db)))
postgres.remove()
