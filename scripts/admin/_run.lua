--- Other programs of ours, run from a command: jobq-run beside this one, and busted.
local M = {}

--- A word for the shell, whatever is in it.
local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function command_line(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = quote(word)
  end
  return table.concat(quoted, " ")
end

--- The folder that jobq and jobq-run are in.
function M.program_dir()
  return arg.dir
end

--- LUA_CPATH for a plain Lua that is to find our module: below the programs, or installed.
function M.module_path()
  return ("%s/lua/?.so;%s/../lib/lua/5.4/?.so;;"):format(arg.dir, arg.dir)
end

--- Runs a program with our stdin, stdout and stderr; its exit status, 128 + n after signal n.
---@param words string[]
---@return integer
function M.run(words)
  local _, how, status = os.execute(command_line(words))
  return how == "signal" and 128 + status or status
end

--- The same with stdin from a text. Gives what it has written to stdout, and its exit status.
---@param words string[]
---@param input string
---@return string, integer
function M.capture(words, input)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen(command_line(words) .. " <" .. quote(name)))
  local output = pipe:read "a"
  local _, how, status = pipe:close()
  os.remove(name)
  return output, how == "signal" and 128 + status or status
end

return M
