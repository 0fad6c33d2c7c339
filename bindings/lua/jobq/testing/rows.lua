--- The rows of a spec's database: put back as they were, and compared.
local databases = require "jobq.testing.database"
local effects = require "jobq.testing.effects"

local M = {}

---- putting it back ----

--- What is in it now is kept beside it and can be put back, in a few milliseconds; another copy
--- would take a quarter of a second.
local KEEP = [[
  do $$ declare r record; begin
    create schema jobq_start;
    create table jobq_start.tables (name text, kept text, columns text);
    create table jobq_start.sequences (name text, value bigint, is_called boolean);
    insert into jobq_start.tables
      select c.oid::regclass::text, 'jobq_start.t' || c.oid, (
        select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$|jobq_start$)';
    for r in select * from jobq_start.tables loop
      execute format('create table %s as select %s from %s', r.kept, r.columns, r.name);
    end loop;
    for r in select c.oid::regclass::text as name from pg_class c where c.relkind = 'S' loop
      execute format('insert into jobq_start.sequences
        select %1$L, last_value, is_called from %1$s', r.name);
    end loop;
  end $$]]

local PUT_BACK = [[
  do $$ declare r record; begin
    perform set_config('session_replication_role', 'replica', true);
    for r in select c.oid::regclass::text as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$|jobq_start$)'
        and c.oid::regclass::text not in (select name from jobq_start.tables) loop
      execute format('drop table %s cascade', r.name);
    end loop;
    for r in select * from jobq_start.tables loop
      execute format('delete from %s', r.name);
      execute format('insert into %1$s (%2$s) overriding system value select %2$s from %3$s',
        r.name, r.columns, r.kept);
    end loop;
    perform setval(name::regclass, value, is_called) from jobq_start.sequences;
  end $$]]

--- A copy of it as it is now. Only a superuser may put rows back without their triggers.
function M.keep(database)
  local kept = databases.copy(database)
  if kept:value "select rolsuper from pg_roles where rolname = current_user" then
    kept:query(KEEP)
    kept.is_kept = true
  end
  return kept
end

--- A database as the kept one was in the beginning; give it to done() afterwards.
function M.begin(kept)
  if not kept.is_kept then
    return databases.copy(kept)
  end
  databases.end_runs(kept)
  kept:query(PUT_BACK)
  return kept
end

function M.done(database, kept)
  if database ~= kept then
    databases.drop(database)
  end
end

--- Other numbers come from its sequences than came before: as after a run that was undone.
function M.skip_numbers(database)
  database:query [[
    select setval(c.oid, nextval(c.oid) + 10) from pg_class c
    where c.relkind = 'S' and relnamespace::regnamespace::text <> 'jobq_start']]
end

---- what is in it ----

--- Tables of the application; made are columns that are not the same each time: what a sequence
--- or a function counts up, what refers to that, and times, of which counts whether they are there.
local TABLES = [[
  with made as materialized (
    select c.oid, a.attnum, a.attname, a.attidentity <> ''
      or coalesce(pg_get_expr(d.adbin, d.adrelid), '') ~ 'nextval|random|uuid' as is_made,
      a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype) as is_time
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$|jobq$|jobq_start$)'
  ), refers as materialized (
    select c.conrelid as oid, unnest(c.conkey) as attnum from pg_constraint c
    where c.contype = 'f' and exists (select from made m
      where m.oid = c.confrelid and m.attnum = any (c.confkey) and m.is_made)
  )
  select oid::regclass::text as name,
    coalesce(array_agg(attname::text) filter (where is_made or is_time
      or attname in ('job_id', 'batch_id') or (oid, attnum) in (select * from refers)), '{}')
      as made,
    coalesce(array_agg(attname::text) filter (where is_time), '{}') as times
  from made group by oid order by 1]]

local ROWS = [[
  select (to_jsonb(t) - $1::text[] || coalesce((
      select jsonb_object_agg(name, 'set') from unnest($2::text[]) as name
      where to_jsonb(t) -> name <> 'null'), '{}'))::text as row,
    count(*)::int as times
  from %s t group by 1]]

local QUEUE = {
  { "jobq.job", "select kind || ' ' || args::text as row, count(*)::int as times "
    .. "from jobq.job group by 1" },
  { "jobq.event", "select name || ' ' || payload::text as row, count(*)::int as times "
    .. "from jobq.event group by 1" },
}

--- Adds the rows that there are.
function M.add_effects(list, database)
  local function add(name, rows)
    for _, row in ipairs(rows) do
      list[#list + 1] = effects.row(name, row.row, row.times)
    end
  end
  for _, tbl in ipairs(database:query(TABLES)) do
    add(tbl.name, database:query(ROWS:format(tbl.name), tbl.made, tbl.times))
  end
  for _, each in ipairs(QUEUE) do
    add(each[1], database:query(each[2]))
  end
end

return M
