--- A server in a spec that tells in lines of JSON what comes to it. For modules that start one.
--
--     local Server = teller.class "the mail server"
--     local server = teller.start(Server, { "node", ... })
--     server:line()               waits for the next one; decoded
--     server:count()              those that nobody has asked for yet
--     server:release()            has it go on with what it holds
--     teller.peers "node"         the folder of what scripts/test.d/peers has installed
local cjson = require "cjson"
local process = require "support.process"
local uv = require "luv"

local M = {}

local Teller = {}
Teller.__index = Teller

--- what: as messages call it. More methods may be added.
function M.class(what)
  local class = setmetatable({ what = what }, Teller)
  class.__index = class
  return class
end

function M.start(class, words)
  return setmetatable({ seen = 0, process = process.start(words) }, class)
end

function Teller:line()
  local lines = self.process.out_lines
  self.process:wait_until(function()
    return lines[self.seen + 1] or self.process.status
  end, "a line of " .. self.what)
  self.seen = self.seen + 1
  return cjson.decode(lines[self.seen] or error(self.what .. " has ended"))
end

function Teller:next()
  return self:line()
end

function Teller:count()
  uv.run "nowait"
  return #self.process.out_lines - self.seen
end

function Teller:release()
  self.process:signal "sigusr2"
end

local folders = {}

--- The first time on a machine it is installed, which may take a minute.
function M.peers(name)
  if not folders[name] then
    local pipe = assert(io.popen("scripts/test.d/peers " .. name))
    folders[name] = pipe:read "l"
    assert(pipe:close(), "scripts/test.d/peers failed: " .. name)
  end
  return folders[name]
end

return M
