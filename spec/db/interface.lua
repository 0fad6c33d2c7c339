--- What programs that are older than the schema rely on, in lines that can be compared. The schema
--- may get more of each, never less.
--
--     interface.read(db)      a set of lines: "function settle returns refused_seq bigint"
--     interface.lacks(old, new)   the lines of old that are not in new, nor something as good
local M = {}

-- Functions that a role may call, and columns of what a role may read or write.
local LINES = [[
  with role as (select oid from pg_roles where rolname like 'jobq\_%'),
  called as (
    select p.* from pg_proc p
    where p.pronamespace = 'jobq'::regnamespace and exists (
      select from aclexplode(p.proacl) a where a.grantee in (select oid from role))
  ),
  used as (
    select c.* from pg_class c
    where c.relnamespace = 'jobq'::regnamespace and exists (
      select from aclexplode(c.relacl) a where a.grantee in (select oid from role))
  )
  select format('function %s argument %s %s %s', p.proname, t.number, p.proargnames[t.number],
    format_type(t.type, null)) as line
  from called p cross join unnest(p.proargtypes) with ordinality t (type, number)
  union all
  select format('function %s needs %s arguments', p.proname, p.pronargs - p.pronargdefaults)
  from called p
  union all
  select format('function %s returns %s%s', p.proname,
    case when p.proretset then 'rows of ' else '' end,
    case when p.proallargtypes is null then format_type(p.prorettype, null) else 'columns' end)
  from called p
  union all
  select format('function %s column %s %s', p.proname, p.proargnames[t.number],
    format_type(t.type, null))
  from called p cross join unnest(p.proallargtypes) with ordinality t (type, number)
  where p.proargmodes[t.number] in ('o', 't')
  union all
  select format('relation %s column %s %s', c.relname, a.attname,
    format_type(a.atttypid, a.atttypmod))
  from used c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  union all
  select format('%s %s: %s %s', o.kind, o.name, a.grantee::regrole, a.privilege_type)
  from (select 'function', proname, proacl from called union all
    select 'relation', relname, relacl from used) o (kind, name, acl)
  cross join aclexplode(o.acl) a
  where a.grantee in (select oid from role)
  order by 1]]

function M.read(db)
  local set = {}
  for _, row in ipairs(db:query(LINES)) do
    set[row.line] = true
  end
  return set
end

-- Who gave so many arguments still gives enough when fewer are needed.
local function is_as_good(line, new)
  local start, count = line:match "^(function %S+ needs )(%d+)"
  for fewer = 0, start and tonumber(count) or -1 do
    if new[("%s%d arguments"):format(start, fewer)] then
      return true
    end
  end
  return false
end

function M.lacks(old, new)
  local missing = {}
  for line in pairs(old) do
    if not new[line] and not is_as_good(line, new) then
      table.insert(missing, line)
    end
  end
  table.sort(missing)
  return missing
end

return M
