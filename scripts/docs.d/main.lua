--- Writes the reference pages; called by scripts/docs.
local bin, dsn, dir = table.unpack(arg)

local function write(name, text)
  local file <close> = assert(io.open(dir .. "/" .. name, "w"))
  assert(file:write(text))
end

write("lua-api.md", require("lua_reference")("bindings/meta"))
write("sql.md", require("sql_reference")(dsn))
write("commands.md", require("command_reference")(bin))
