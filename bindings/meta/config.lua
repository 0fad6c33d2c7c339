---@meta jobq.config
error("meta files are read by editors, never loaded")

--- Settings, from `--set NAME=VALUE`, the environment (`smtp.host` is JOBQ_SMTP_HOST) and the config
--- file, in this order.
---
--- `jobq.config.crm.pages` is one that config.lua declares, a file in the folder of the handlers that
--- returns groups of names and types, as in a handler's `args`:
---
---     return { crm = { url = "url", pages = { "integer", min = 1, default = 10 } } }
---
--- It is data, so no library is there while it runs. What is missing, or of another type, is an error at
--- load; so is a name that is not declared. Lists are written "a, b" or as JSON.
---
--- `jobq.config(name, default)` is any setting, as text unless it is declared. Raises when it is not
--- there and no default is given.
---@class jobq.config
---@field [string] table<string, any> a group of settings; read-only
---@overload fun(name: string, default?: any): any
local config = {}

return config
