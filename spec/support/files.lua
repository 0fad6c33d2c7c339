--- Files, folders and programs for specs.
local uv = require "luv"

local M = {}

function M.exists(path)
  return uv.fs_stat(path) ~= nil
end

function M.read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

--- Writes a file and the folders above it.
function M.write(path, text)
  M.make_dir(path:match("^(.*)/[^/]*$"))
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

function M.make_dir(path)
  if path and path ~= "" and not M.exists(path) then
    M.make_dir(path:match("^(.*)/[^/]*$"))
    assert(uv.fs_mkdir(path, 493))
  end
end

--- The sorted names in a folder; empty if there is no such folder.
function M.list(dir)
  local names = {}
  local scan = uv.fs_scandir(dir)
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then
      break
    end
    table.insert(names, name)
  end
  table.sort(names)
  return names
end

--- Paths that match, sorted; '*' stands for any text between two slashes.
function M.glob(pattern)
  local found = { pattern:sub(1, 1) == "/" and "" or "." }
  for part in pattern:gmatch("[^/]+") do
    local next_found = {}
    local exact = "^" .. part:gsub("[%-%.%+]", "%%%0"):gsub("%*", ".*") .. "$"
    for _, dir in ipairs(found) do
      for _, name in ipairs(part:find("*", 1, true) and M.list(dir .. "/") or { part }) do
        if name:match(exact) and M.exists(dir .. "/" .. name) then
          table.insert(next_found, dir .. "/" .. name)
        end
      end
    end
    found = next_found
  end
  return found
end

--- Removes a file or a folder with all that is in it.
function M.remove(path)
  local stat = uv.fs_lstat(path)
  if stat and stat.type == "directory" then
    for _, name in ipairs(M.list(path)) do
      M.remove(path .. "/" .. name)
    end
    uv.fs_rmdir(path)
  elseif stat then
    uv.fs_unlink(path)
  end
end

--- uid and gid of a user of this machine.
function M.user(name)
  for line in io.lines("/etc/passwd") do
    local uid, gid = line:match("^" .. name .. ":[^:]*:(%d+):(%d+):")
    if uid then
      return tonumber(uid), tonumber(gid)
    end
  end
  error(("there is no user '%s' on this machine"):format(name))
end

--- Runs a program to its end; its output is in the error when it fails.
function M.run(args, cwd)
  local words = table.move(args, 2, #args, 1, {})
  local output, code = {}, nil
  local fds = assert(uv.pipe({ nonblock = true }, {}))
  local pipe = assert(uv.new_pipe())
  assert(pipe:open(fds.read))
  local handle
  handle = assert(uv.spawn(args[1], {
    args = words, stdio = { nil, fds.write, fds.write }, cwd = cwd,
  }, function(status, signal)
    code = signal ~= 0 and 128 + signal or status
    handle:close()
  end))
  uv.fs_close(fds.write)
  pipe:read_start(function(_, data)
    if data then
      table.insert(output, data)
    else
      pipe:close()
    end
  end)
  while not (code and pipe:is_closing()) do
    uv.run("once")
  end
  local text = table.concat(output)
  if code ~= 0 then
    error(("%s ended with %d:\n%s"):format(table.concat(args, " "), code, text), 2)
  end
  return text
end

return M
