--- The keys of a table as an array, in the order of their texts: what is told must not change from
--- one time to the next.
---@param t table
---@return any[]
return function(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end
