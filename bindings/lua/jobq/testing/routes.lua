--- Which of a spec's arrangements fits; the newest counts.
local M = {}

local function matches(pattern, text)
  local start = pattern:match("^(.*)%*$")
  return start and text:sub(1, #start) == start or pattern == text
end

function M.of_request(expected, method, url)
  for i = #expected.http, 1, -1 do
    local route = expected.http[i]
    if route.method == method and matches(route.url, url) then
      return route
    end
  end
  return nil
end

function M.of_program(expected, name)
  for i = #expected.process, 1, -1 do
    local route = expected.process[i]
    if route.program == name or route.program == name:match("[^/]*$") then
      return route
    end
  end
  return nil
end

return M
