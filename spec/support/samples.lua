--- Handlers that several engine specs use, and the notes they leave: a line a run in a file.
--
--     local notes = samples.notes()
--     db:enqueue { "note.write", args = notes:args { text = "first" } }
--     assert.same({ "first" }, notes:read())
local codec = require("jobq.core").json
local files = require "support.files"
local handlers = require "support.handlers"

local M = {}

--- note.write adds a line; note.slow does, too, then waits; note.held waits until a file is there.
M.note = [[
local jobq = require "jobq"

local function note(job)
  local file = assert(io.open(job.args.file, "a"))
  file:write(job.args.text or tostring(job.id), "\n")
  file:close()
end

return {
  write = { run = note },
  slow = {
    run = function(job)
      note(job)
      jobq.sleep(job.args.seconds or 60)
    end,
  },
  held = {
    run = function(job)
      note(job)
      while not io.open(job.args.file .. ".go") do
        jobq.sleep(0.01)
      end
    end,
  },
}
]]

local Notes = {}
Notes.__index = Notes

--- A file for notes, in a folder that goes with the spec.
function M.notes()
  local dir = handlers {}
  return setmetatable({ path = dir.path .. "notes" }, Notes)
end

--- Arguments for a job, as JSON, with the file's path among them.
function Notes:args(args)
  args = args or {}
  args.file = self.path
  return codec.encode(args)
end

function Notes:read()
  local lines = {}
  for line in (files.read(self.path) or ""):gmatch "[^\n]+" do
    table.insert(lines, line)
  end
  return lines
end

--- Lets note.held go on.
function Notes:go()
  files.write(self.path .. ".go", "")
end

--- Waits until that many lines are there.
function Notes:wait_for(count, process)
  process:wait_until(function()
    return #self:read() >= count
  end, ("%d notes, there are %d"):format(count, #self:read()))
  return self:read()
end

return M
