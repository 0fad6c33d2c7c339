--- "did you mean": the candidate at edit distance 1 or 2; swapped neighbours count as one edit.
local M = {}

local function distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

---@return string? nearest nil when none is near, or text is too short to tell
function M.nearest(text, candidates)
  local best, best_distance = nil, math.min(2, #text - 1) + 1
  for _, candidate in ipairs(candidates) do
    local d = distance(text, candidate)
    if d < best_distance then
      best, best_distance = candidate, d
    end
  end
  return best
end

--- The hint line for it, or nil.
function M.hint(text, candidates)
  local nearest = M.nearest(text, candidates)
  return nearest and ("did you mean '%s'?"):format(nearest)
end

return M
