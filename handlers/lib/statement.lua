--- A statement that is a setting, and what its rows have in common.
local jobq = require "jobq"

local M = {}

--- What the statement of a setting gives: rows; or nil, message, code. query: jobq.sql.query, or a
--- function like it.
function M.ask(query, setting, ...)
  local rows, why, code = query(jobq.config(setting), ...)
  if rows then
    return rows
  end
  return nil, ("setting %s: %s\nhint: jobq config handlers shows the statement"):format(
    setting, why), code
end

--- Their ids, as an array for JSON and for SQL.
function M.ids_of(rows)
  local ids = jobq.json.array {}
  for i, row in ipairs(rows) do
    ids[i] = row.id
  end
  return ids
end

return M
