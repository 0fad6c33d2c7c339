--- The door of scripts/chaos.
local uv = require "luv"
local defects = require "faults.defects"
local faults = require "faults.faults"
local modes = require "faults.modes"
local options_of = require "faults.options"

local began = uv.hrtime()

local function list()
  for _, name in ipairs(faults.names()) do
    print(("%-15s %s"):format(name, faults[name].about))
  end
end

local options = options_of.parse(arg)

--- What happens, with the time since the start; in TAP it is a comment.
function options.say(text)
  print(("%s[%7.1f] %s"):format(options.tap and "# " or "", (uv.hrtime() - began) / 1e9, text))
  io.stdout:flush()
end

if options.list then
  list()
elseif options.list_defects then
  print(table.concat(defects.names, "\n"))
elseif not modes[options.mode](options) then
  os.exit(1)
end
