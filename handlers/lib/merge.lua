--- A new table with the fields of both, either of which may be nil; those of the second count.
return function(first, second)
  local both = {}
  for _, values in ipairs { first or {}, second or {} } do
    for name, value in pairs(values) do
      both[name] = value
    end
  end
  return both
end
