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
--- A text with `secret = true` is a jobq.Secret, and so are smtp.password and database.NAME. What is set
--- for one may say where it is: `file:/run/credentials/token` or `env:CRM_TOKEN`. `jobq config` shows
--- that, and *** in the place of a secret itself.
---@class jobq.config
---@field [string] table<string, any> a group of settings; read-only
---@overload fun(name: string, default?: any): any
local config = {}

--- A secret. It prints as `<secret crm.token>`, cannot be joined to a text, and has no JSON. Functions
--- that need one take it as it is: login, headers, bearer, query and form of jobq.http, login of
--- jobq.smtp, env of jobq.process. Logs, errors, progress and results show its name even if it was
--- revealed, as long as the whole of it is there and it has 6 bytes or more.
---@class jobq.Secret
---@field reveal fun(self: jobq.Secret): string

return config
