--- The page of the SQL side, from the comments in the database.
local pg = require("jobq.core").pg

local HEAD = [[
# SQL

Made by `scripts/docs` from the comments in the schema, which psql shows, too: `\df+ jobq.*`,
`\d+ jobq.job`.

Applications enqueue with functions; people look at views. The tables are the engine's own: read
them if you must, never write them.
]]

-- Who may call a function says whom it is for.
local FUNCTIONS = [[
  select p.proname as name, pg_get_function_arguments(p.oid) as arguments,
    pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as text,
    array_to_string(array(
      select r.rolname from pg_roles r
      where r.rolname in ('jobq_producer', 'jobq_admin', 'jobq_reader')
        and has_function_privilege(r.oid, p.oid, 'execute')
      order by r.rolname = 'jobq_reader', r.rolname = 'jobq_admin'), ', ') as roles
  from pg_proc p
  where p.pronamespace = 'jobq'::regnamespace
  order by p.proname, p.oid]]

local RELATIONS = [[
  select c.oid::int8 as id, c.relname as name, c.relkind = 'v' as is_view,
    obj_description(c.oid, 'pg_class') as text
  from pg_class c
  where c.relnamespace = 'jobq'::regnamespace and c.relkind in ('r', 'p', 'v')
    and not c.relispartition
  order by c.relname]]

local COLUMNS = [[
  select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    col_description(a.attrelid, a.attnum) as text
  from pg_attribute a where a.attrelid = $1::int8::oid and a.attnum > 0 and not a.attisdropped
  order by a.attnum]]

--- As people write it.
local function plain(signature)
  return (signature:gsub("timestamp with time zone", "timestamptz"):gsub("DEFAULT", "default")
    :gsub("NULL::[%a%[%]]+", "null"):gsub("('[^']*')::[%a%[%]]+", "%1"))
end

local function add_function(out, each)
  local arguments = plain(each.arguments):gsub(", ", ",\n  ")
  table.insert(out, ("### jobq.%s\n\n%s\n"):format(each.name:gsub("_", "\\_"), each.text or ""))
  table.insert(out, ("```text\njobq.%s(%s)\n  returns %s\n```\n"):format(
    each.name, arguments == "" and "" or "\n  " .. arguments .. "\n",
    each.result and plain(each.result) or "its inout parameters; CALL it"))
  table.insert(out, ("For %s.\n"):format(each.roles:gsub("_", "\\_")))
end

local function add_line(out, name, text)
  table.insert(out, ("- `%s`: %s"):format(name, text or ""))
end

local function add_view(out, conn, each)
  table.insert(out, ("### jobq.%s\n\n%s\n"):format(each.name:gsub("_", "\\_"), each.text or ""))
  for _, column in ipairs(assert(conn:query(COLUMNS, each.id))) do
    add_line(out, column.name .. " " .. plain(column.type), column.text)
  end
  table.insert(out, "")
end

--- Those that the filter takes, each through `add`.
local function section(out, title, items, filter, add)
  table.insert(out, ("## %s\n"):format(title))
  for _, each in ipairs(items) do
    if filter(each) then
      add(each)
    end
  end
  table.insert(out, "")
end

--- The text of the page.
return function(dsn)
  local conn <close> = assert(pg.connect(dsn))
  local functions, relations = assert(conn:query(FUNCTIONS)), assert(conn:query(RELATIONS))
  local out = { HEAD }
  section(out, "Functions", functions, function(each) return each.roles ~= "" end,
    function(each) add_function(out, each) end)
  section(out, "Views", relations, function(each) return each.is_view end,
    function(each) add_view(out, conn, each) end)
  section(out, "Inside: tables", relations, function(each) return not each.is_view end,
    function(each) add_line(out, "jobq." .. each.name, each.text) end)
  section(out, "Inside: functions", functions, function(each) return each.roles == "" end,
    function(each) add_line(out, "jobq." .. each.name, each.text) end)
  return (table.concat(out, "\n"):gsub("%s+$", "") .. "\n")
end
