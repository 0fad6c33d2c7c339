--- Folders of handler files for a spec; they go with it.
--
--     local dir = handlers { ["demo.lua"] = "return { ok = { run = function() end } }" }
--     dir:write("demo.lua", "...")           -- changes one
--     dir.path                               -- ends with a slash
local uv = require "luv"
local files = require "support.files"

local Folder = {}
Folder.__index = Folder

local made = {}

function Folder:write(name, text)
  files.write(self.path .. name, text)
end

local function new(texts)
  local template = ("/tmp/jobq-handlers-%d-XXXXXX"):format(uv.os_getpid())
  local path = assert(uv.fs_mkdtemp(template)) .. "/"
  assert(uv.fs_chmod(path, 493)) -- 755: the user of a private postgres may have to pass
  local self = setmetatable({ path = path }, Folder)
  table.insert(made, path)
  for name, text in pairs(texts or {}) do
    self:write(name, text)
  end
  return self
end

local function remove_all()
  for _, path in ipairs(made) do
    files.remove(path)
  end
  made = {}
end

-- Of runs that were killed.
for _, path in ipairs(files.glob "/tmp/jobq-handlers-*") do
  local pid = tonumber(path:match "(%d+)%-%w+$")
  if pid and not uv.kill(pid, 0) then
    files.remove(path)
  end
end

local loaded, busted = pcall(require, "busted")
if loaded and busted.subscribe then
  for _, event in ipairs { "test", "file" } do
    busted.subscribe({ event, "end" }, function()
      remove_all()
      return nil, true
    end)
  end
end

return new
