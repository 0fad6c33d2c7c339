--- jobq config: settings as this machine, folder and shell have them.
local json = require "_json"
local print_table = require("_table").print

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
  elseif name == "dsn" then
    return mask_dsn(value)
  end
  for _, pattern in ipairs(SECRET) do
    if name:lower():find(pattern) and not value:find "^file:" then
      return "***"
    end
  end
  return value
end

local COLUMNS = { { "name", "name" }, { "value", "value", flex = true } }
local WITH_ORIGIN = { COLUMNS[1], COLUMNS[2], { "from", "origin" } }

local function rows_of(config)
  local rows = {}
  for name, found in pairs(config.values) do
    table.insert(rows, { name = name, value = shown(name, found.value), origin = found.origin })
  end
  if not config:dsn() and not config:embedded() then
    table.insert(rows, { name = "embedded", value = ".jobq/pg", origin = "default" })
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  return rows
end

return {
  summary = "the settings that are in force here, and where they are from",
  text = [[
Those of jobq-run and of handlers, too, as far as something sets them; jobq-run --help tells the
defaults. Later ones win: PG* variables, /etc/jobq/jobq.conf, ~/.config/jobq/jobq.conf, ./jobq.conf,
DATABASE_URL, JOBQ_* variables, options. Secrets print as ***.
]],
  options = { { "--origin", "also where each value is from" } },
  examples = { { "config --origin" }, { "config --json" } },

  run = function(context)
    local rows = rows_of(context.config)
    if not context.json then
      return print_table(context.options.origin and WITH_ORIGIN or COLUMNS, rows)
    end
    local items = {}
    for i, row in ipairs(rows) do
      items[i] = json.pick(row, { "name", "value", "origin" })
    end
    context:print_items(items)
  end,
}
