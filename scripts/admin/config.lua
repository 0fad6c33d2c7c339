--- jobq config: settings as this machine, folder and shell have them.
local codec = require "jobq.json"
local declarations = require "jobq.declarations"
local failure = require "_failure"
local host = require "jobq.host"
local json = require "_json"
local print_table = require("_table").print
local text = require "_text"

local SECRET = { "passw", "secret", "token", "api_?key", "credential" }

-- The password of a dsn, as a URI or as keywords.
local function mask_dsn(dsn)
  return (dsn:gsub("^(%w+://[^:@/]*):[^@/]*@", "%1:***@")
    :gsub("(password%s*=%s*)'.-'", "%1***")
    :gsub("(password%s*=%s*)[^'%s&][^%s&]*", "%1***"))
end

local function shown(name, value)
  if value == true then
    return "yes"
  elseif name == "dsn" or name:find "^database%.[^.]+$" then
    return mask_dsn(value)
  end
  for _, pattern in ipairs(SECRET) do
    if name:lower():find(pattern) and not declarations.is_source(value) then
      return "***"
    end
  end
  return value
end

local COLUMNS = { { "name", "name" }, { "value", "value", flex = true } }
local WITH_ORIGIN = { COLUMNS[1], COLUMNS[2], { "from", "origin" } }

local function read(path)
  local file = io.open(path)
  local body = file and file:read "a"
  if file then
    file:close()
  end
  return body
end

--- The settings that the config.lua of these folders declare.
local function declared_in(dirs)
  local list = {}
  for _, dir in ipairs(dirs) do
    local path = dir:gsub("(.)/+$", "%1") .. "/" .. declarations.FILE
    local body = read(path)
    if not body and not host.list(dir) then
      failure.raise("usage", ("folder '%s' does not exist"):format(text.clean(dir)))
    end
    local ok, found = pcall(declarations.read, path, body or "return {}")
    if not ok then
      failure.raise("not_found", found)
    end
    table.move(found, 1, #found, #list + 1, list)
  end
  return list
end

--- Variables as a worker looks for them: JOBQ_MY_CRM_URL is my.crm_url, and my_crm.url, too.
local function given_value(config, name)
  local variable = "JOBQ_" .. name:upper():gsub("%.", "_")
  local found, value = config.values[name], os.getenv(variable)
  return found or value and { value = value, origin = variable }
end

local function default_text(spec)
  if type(spec.default) == "table" then
    return codec.encode(spec.default)
  end
  return spec.default == nil and "" or tostring(spec.default)
end

--- A secret is not shown, but where it is.
local function declared_value(setting, found)
  if not found then
    return default_text(setting.spec)
  elseif setting.spec.secret then
    return declarations.is_source(found.value) and found.value or "***"
  end
  return shown(setting.name, found.value)
end

--- What is wrong with it, or nil. The file of a secret may be for the worker's eyes only.
local function problem_of(setting, found)
  if found and setting.spec.secret and declarations.is_source(found.value) then
    return nil
  end
  local _, problem = declarations.value(setting, found and found.value)
  return problem
end

local function declared_row(config, setting)
  local found = given_value(config, setting.name)
  return {
    name = setting.name, value = declared_value(setting, found),
    origin = found and found.origin or setting.source,
  }, problem_of(setting, found)
end

local function add_declared(rows, config, dirs)
  local by_name, problems = {}, {}
  for i, row in ipairs(rows) do
    by_name[row.name] = i
  end
  for _, setting in ipairs(declared_in(dirs)) do
    local row, problem = declared_row(config, setting)
    rows[by_name[setting.name] or #rows + 1] = row
    problems[#problems + 1] = problem and ("%s: setting %s"):format(setting.source, problem)
  end
  return problems
end

local function rows_of(config)
  local rows = {}
  for name, found in pairs(config.values) do
    table.insert(rows, { name = name, value = shown(name, found.value), origin = found.origin })
  end
  if not config:dsn() and not config:embedded() then
    table.insert(rows, { name = "embedded", value = ".jobq/pg", origin = "default" })
  end
  return rows
end

local function show(context, rows)
  if not context.json then
    return print_table(context.options.origin and WITH_ORIGIN or COLUMNS, rows)
  end
  local items = {}
  for i, row in ipairs(rows) do
    items[i] = json.pick(row, { "name", "value", "origin" })
  end
  context:print_items(items)
end

return {
  summary = "the settings that are in force here, and where they are from",
  text = [[
Those of jobq-run and of handlers, too, as far as something sets them; jobq-run --help tells the
defaults. Later ones win: PG* variables, /etc/jobq/jobq.conf, ~/.config/jobq/jobq.conf, ./jobq.conf,
DATABASE_URL, JOBQ_* variables, options. Secrets print as ***. With the folders of handlers also
what their config.lua declares, with its defaults; exit status 6 if a value is missing or wrong.
]],
  arguments = { { "[DIR...]", "folders of handlers" } },
  options = { { "--origin", "also where each value is from" } },
  examples = { { "config --origin handlers" }, { "config --json" } },

  run = function(context)
    local rows = rows_of(context.config)
    local problems = add_declared(rows, context.config, context.arguments.dir or {})
    table.sort(rows, function(a, b) return a.name < b.name end)
    show(context, rows)
    if problems[1] then
      failure.raise("problems", table.concat(problems, "\n"))
    end
  end,
}
