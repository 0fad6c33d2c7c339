---@meta jobq.json
error("meta files are read by editors, never loaded")

--- JSON without loss: integers up to 2^63-1 and doubles come back as they were.
---@class jobq.json
---@field null lightuserdata JSON's null, which is no nil: it keeps its place in arrays and objects
local json = {}

--- Raises, with the place, when the value has no JSON. Keys are sorted.
---@param value any
---@return string
---@nodiscard
function json.encode(value) end

---@param text string
---@return any value
---@return string? message names line and column
---@return string? code "json_invalid"
---@nodiscard
function json.decode(text) end

--- Marks a table as an array, so that it is one even when empty. Decoded arrays are marked.
---@generic T: table
---@param list? T default a new one
---@return T
function json.array(list) end

return json
