--- What a mistyped name may have meant.
local M = {}

local FARTHEST = 2

local function distance(a, b)
  local previous, before = {}, {} -- rows of the table: the last one, and the one before it
  for j = 0, #b do
    previous[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1) -- two letters swapped
      end
    end
    before, previous = previous, row
  end
  return previous[#b]
end

local function is_better(candidate, d, best, best_distance)
  return not best or d < best_distance or d == best_distance and candidate < best
end

--- The nearest of `names` (an array, or a table whose keys are names) at edit distance 1 or 2.
---@param name string
---@param names table
---@return string?
function M.find(name, names)
  local best, best_distance
  for key, value in pairs(names) do
    local candidate = type(key) == "string" and key or tostring(value)
    local d = math.abs(#candidate - #name) <= FARTHEST and distance(name, candidate) or math.huge
    if d <= FARTHEST and d < #name and is_better(candidate, d, best, best_distance) then
      best, best_distance = candidate, d
    end
  end
  return best
end

--- "\nhint: did you mean 'timeout'?", or "".
---@param name any
---@param names table
---@return string
function M.hint(name, names)
  local found = type(name) == "string" and M.find(name, names)
  return found and ("\nhint: did you mean '%s'?"):format(found) or ""
end

return M
