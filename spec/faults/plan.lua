--- Which fault when: a schedule made by chance from a seed, the same for the same seed.
local faults = require "faults.faults"

local M = {}

local EVERY_S = 3.5 -- between two faults, on average

--- Numbers from 0 to 1 (or as math.random), from a seed, apart from everybody else's.
--
-- A generator of our own, because Lua has only one.
function M.chance(seed)
  local state = (seed * 2654435761 + 12345) & 0xffffffff
  local function next_bits()
    state = state ~ (state << 13) & 0xffffffff
    state = state ~ (state >> 17)
    state = state ~ (state << 5) & 0xffffffff
    return state
  end
  state = state == 0 and 1 or state
  for _ = 1, 8 do
    next_bits()
  end
  return function()
    return next_bits() / 0x100000000
  end
end

local function choose(names, chance)
  local total = 0
  for _, name in ipairs(names) do
    total = total + faults[name].weight
  end
  local at = chance() * total
  for _, name in ipairs(names) do
    at = at - faults[name].weight
    if at <= 0 then
      return name
    end
  end
  return names[#names]
end

--- A list of { at, name, seed } for a run of so many seconds. Only some faults, if names are given.
function M.random(seed, seconds, names)
  local chance = M.chance(seed)
  local list = {}
  local at = 2
  while at < seconds do
    table.insert(list, {
      at = at,
      name = choose(names or faults.names(), chance),
      seed = math.floor(chance() * 1e9),
    })
    at = at + EVERY_S * (0.4 + 1.2 * chance())
  end
  return list
end

--- Each of the names once, so that all are over when the time is.
function M.each(seed, seconds, names)
  local chance = M.chance(seed)
  local order = table.move(names, 1, #names, 1, {})
  for i = #order, 2, -1 do
    local j = 1 + math.floor(chance() * i)
    order[i], order[j] = order[j], order[i]
  end
  local list = {}
  for i, name in ipairs(order) do
    local at = 2 + (i - 1) * (seconds - 2) / #order
    list[i] = { at = at, name = name, seed = math.floor(chance() * 1e9) }
  end
  return list
end

function M.show(list)
  local lines = {}
  for _, entry in ipairs(list) do
    local about = faults[entry.name].about
    table.insert(lines, ("  %6.1f s  %-14s %s"):format(entry.at, entry.name, about))
  end
  return table.concat(lines, "\n")
end

return M
