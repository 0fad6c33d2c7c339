--- A compiled chunk as its functions, to be looked at without running it: what names they use, and
--- on which lines. The format is that of ldump.c of Lua 5.4, all of its releases.
local core = require "jobq.core"

local M = {}

--- Version 5.4, the official format, its check bytes, and the sizes of instructions and numbers.
local HEADER = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8"
local NUMBERS = 16 -- bytes: an integer and a float, for the order of bytes
local NO_LINE_STEP = -128 -- ABSLINEINFO in ldebug.h

M.op = {
  setupval = 10, gettabup = 11, getfield = 14, settabup = 15, setfield = 18, newtable = 19,
}

--- Reads on from `at`.
local Reader = {}
Reader.__index = Reader

function Reader:unpack(format)
  local value, at = string.unpack(format, self.text, self.at)
  self.at = at
  return value
end

--- Seven bits a byte, the highest first; the last one has the eighth bit set.
function Reader:size()
  local value = 0
  while true do
    local byte = self:unpack "B"
    value = value << 7 | byte & 0x7f
    if byte >= 0x80 then
      return value
    end
  end
end

function Reader:string()
  local size = self:size()
  return size > 0 and self:unpack("c" .. size - 1) or nil
end

function Reader:list(read)
  local list = {}
  for i = 0, self:size() - 1 do -- as instructions count
    list[i] = read(self)
  end
  return list
end

local CONSTANTS = { [0x03] = "j", [0x13] = "n" }

--- Texts as they are; all else does not matter here.
local function read_constant(reader)
  local tag = reader:unpack "B"
  if tag == 0x04 or tag == 0x14 then
    return reader:string()
  end
  return CONSTANTS[tag] and reader:unpack(CONSTANTS[tag]) and false
end

local function read_local(reader)
  return { name = reader:string(), first = reader:size(), last = reader:size() - 1 }
end

--- The lines of the instructions: steps from one to the next, and some as they are.
local function read_lines(reader, first)
  local steps = reader:list(function() return reader:unpack "b" end)
  local absolute = {}
  for _ = 1, reader:size() do
    local pc = reader:size()
    absolute[pc] = reader:size()
  end
  local lines, line = {}, first
  for pc = 0, #steps do
    line = steps[pc] == NO_LINE_STEP and absolute[pc] or line + (steps[pc] or 0)
    lines[pc] = line
  end
  return lines
end

local function read_function(reader, functions)
  local f = {}
  functions[#functions + 1] = f
  reader:string() -- the source
  f.line = reader:size()
  reader:size() -- its last line
  reader:unpack "c3" -- parameters, registers
  f.code = reader:list(function() return reader:unpack "<I4" end)
  f.constants = reader:list(read_constant)
  f.upvalues = reader:list(function() return reader:unpack "c3" end)
  reader:list(function() return read_function(reader, functions) end)
  f.lines = read_lines(reader, f.line)
  f.locals = reader:list(read_local)
  f.upvalues = reader:list(reader.string)
  return f
end

--- op, A, B, C of one instruction.
function M.decode(instruction)
  return instruction & 0x7f, instruction >> 7 & 0xff, instruction >> 16 & 0xff, instruction >> 24
end

--- The functions of a chunk, itself first; nil if this Lua compiles to another format.
---@param chunk function
---@return table[]? functions code, constants, upvalues (names), locals, lines; all count from 0
function M.functions(chunk)
  local text = core.source.dump(chunk)
  if text:sub(1, #HEADER) ~= HEADER then
    return nil
  end
  local functions = {}
  local reader = setmetatable({ text = text, at = #HEADER + NUMBERS + 2 }, Reader)
  read_function(reader, functions)
  return functions
end

return M
