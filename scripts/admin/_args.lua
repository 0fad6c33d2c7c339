--- The arguments of a job from the command line.
local codec = require "jobq.json"
local failure = require "_failure"
local text = require "_text"

local M = {}

--- JSON, "-" for stdin, nil for none: its text and its value. The decoder names line and column; a
--- shell's quoting is the usual cause.
---@return string body, any value
function M.read(given)
  local body = given or "{}"
  local label = "JSON"
  if body == "-" then
    body, label = io.read "a", "stdin"
  end
  local value, message = codec.decode(body)
  if value == nil and message then
    failure.raise("usage", ("%s: %s"):format(label, text.clean(message)),
      label == "JSON" and "put the JSON in single quotes: '{\"to\": [\"ann@example.org\"]}'" or nil)
  end
  return body, value
end

return M
