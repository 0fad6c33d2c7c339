--- jobq.json: job data, exact.
local core = require "jobq.core"
local strict = require "jobq.strict"

return strict.close("jobq.json", core.json)
