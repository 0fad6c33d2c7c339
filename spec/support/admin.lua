--- Makes the modules of scripts/admin loadable here: what the program gives them is stood in for.
local core = require "jobq.core"

package.preload["jobq.json"] = function()
  return core.json
end

package.preload["jobq.pg"] = function()
  return core.pg
end

package.preload["jobq.host"] = function()
  return {
    version = "0.1.0",
    is_tty = function() return false end,
    columns = function() return nil end,
    width = function(code)
      return code >= 0x4e00 and code <= 0x9fff and 2 or 1
    end,
  }
end
