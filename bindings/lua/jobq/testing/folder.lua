--- A folder of one spec, and copies of what is in it.
local effects = require "jobq.testing.effects"

local M = {}

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function shell(script, ...)
  local words = { script }
  for i, word in ipairs { ... } do
    words[i + 1] = quote(word)
  end
  local pipe = assert(io.popen(("set -e; f() { %s; }; f %s"):format(
    script, table.concat(words, " ", 2))))
  local text = pipe:read "a"
  return pipe:close() and text or error("t.folder: cannot copy or remove files", 0)
end

function M.new()
  return shell("mktemp -d"):match "[^\n]+"
end

function M.remove(path)
  shell('rm -rf "$1"', path)
end

--- All that is in from, and nothing else, is in to.
function M.copy(from, to)
  shell('find "$2" -mindepth 1 -delete; cp -a "$1/." "$2"', from, to)
end

--- Adds the files that there are.
function M.add_effects(list, path)
  local sums = shell('cd "$1"; find . -type f -exec sha256sum {} +', path)
  for sum, name in sums:gmatch "(%x+)  %./([^\n]*)" do
    list[#list + 1] = effects.file(name, sum:sub(1, 12))
  end
end

return M
