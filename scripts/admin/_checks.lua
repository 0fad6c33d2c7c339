--- What jobq doctor looks at, in order. Each check gets the context and answers a state ("ok",
--- "warn", "fail"), what it found in words, and for the latter two what to do. One may have a fix.
--- `essential`: nothing after it makes sense if it fails.
local codec = require "jobq.json"
local failure = require "_failure"
local host = require "jobq.host"
local pg = require "jobq.pg"
local text = require "_text"
local time = require "_time"

local OLDEST_SERVER = 130000
local CLOCK_FAR_OFF_S = 2
local LONG_TRANSACTION_S = 600
local SILENT_S = 75
local LEAST_FREE = 0.1
local LEAST_FREE_BYTES = 1 << 30

local function row(context, sql, ...)
  local rows, message, sqlstate = context.db:try(sql, ...)
  if not rows then
    failure.raise("failed", ("%s (%s)"):format(text.clean(message), sqlstate))
  end
  return rows[1]
end

local function bytes(n)
  local units = { "B", "kB", "MB", "GB", "TB" }
  local i = 1
  while n >= 1024 and i < #units do
    n, i = n / 1024, i + 1
  end
  return ("%.0f %s"):format(n, units[i])
end

local M = {}

local function check(name, run, more)
  local each = more or {}
  each.name, each.run = name, run
  table.insert(M, each)
end

check("dsn", function(context)
  local dir, origin = context.config:embedded()
  local dsn
  if not dir then
    dsn, origin = context.config:dsn()
  end
  if dir then
    return "ok", ("a private postgres in %s, from %s"):format(text.clean(dir), origin)
  elseif dsn then
    return "ok", "it is from " .. origin
  elseif pg.embedded_state ".jobq/pg" == "absent" then
    return "fail", "no dsn is given, and there is no private postgres in .jobq/pg",
      "pass --dsn DSN, set DATABASE_URL, or: jobq postgres start"
  end
  return "ok", "none is given: the private postgres in .jobq/pg"
end, { essential = true })

local REMEDIES = {
  { "connection refused", "is postgres running there, and does it listen on that address?" },
  { "could not translate host", "is the name of the host right?" },
  { "[Tt]imeout", "is a firewall in between?" },
  { "No such file", "is postgres running on this machine? its socket is not there" },
  { "password", "put it into ~/.pgpass, or into the dsn of a file that others cannot read" },
  { "no pg_hba.conf entry", "its pg_hba.conf has to let this user in from here" },
  { 'role ".-" does not exist', "is the user in the dsn right? else: create role ... login" },
  { 'database ".-" does not exist', "is the database in the dsn right? else: createdb" },
  { "too many clients", "raise max_connections, or put pgbouncer in between" },
  { "starting up", "wait until it has started" },
}

check("connection", function(context)
  local done, problem = pcall(context.db.connect, context.db)
  if done then
    local r = row(context, [[select current_user::text as role, current_database()::text as name,
      coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a socket') as place]])
    return "ok", ("database %s at %s as %s"):format(
      text.clean(r.name), r.place, text.clean(r.role))
  elseif not failure.is(problem) then
    error(problem, 0)
  end
  for _, remedy in ipairs(REMEDIES) do
    if problem.message:find(remedy[1]) then
      return "fail", problem.message, remedy[2]
    end
  end
  return "fail", problem.message, problem.hint
end, { essential = true })

check("server", function(context)
  local r = row(context, [[select current_setting('server_version_num')::int as number,
    split_part(current_setting('server_version'), ' ', 1) as version,
    pg_is_in_recovery() as standby, current_setting('default_transaction_read_only') as read_only]])
  local found = "postgres " .. r.version
  if r.number < OLDEST_SERVER then
    return "fail", found, "jobq needs postgres 13 or later"
  elseif r.standby then
    return "fail", found .. ", a standby, which takes no jobs",
      "name the primary, or add target_session_attrs=read-write to a dsn with all hosts"
  elseif r.read_only == "on" then
    return "fail", found .. " with default_transaction_read_only", "turn it off for this role"
  end
  return "ok", found
end, { essential = true })

check("schema", function(context)
  local rows, message, sqlstate = context.db:try "select * from jobq.schema_state()"
  if not rows and (sqlstate == "3F000" or sqlstate == "42883") then
    return "fail", "the database has no jobq schema", "jobq migrate"
  elseif not rows then
    return "fail", text.clean(message), "as the owner of the schema: select jobq.grant_roles()"
  end
  local fits, why, _, hint = pg.judge(rows[1].version, rows[1].min_worker)
  if not fits then
    return "fail", why, hint
  end
  return "ok", ("version %d; workers from %s on may run"):format(
    rows[1].version, rows[1].min_worker)
end, {
  essential = true,
  fix = function(context)
    local applied, message = pg.migrate_up(context.db:conninfo())
    return applied and ("applied %s"):format(text.count(#applied, "migration")), message
  end,
})

check("roles", function(context)
  local r = row(context, [[
    select array(
        select n from unnest('{jobq_producer,jobq_worker,jobq_admin,jobq_reader}'::text[]) n
        where not exists (select from pg_roles where rolname = n)) as missing,
      current_user::text as me,
      has_table_privilege('jobq.job', 'select') as looks,
      (select has_function_privilege(p.oid, 'execute')
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'jobq' and p.proname = 'retry') as changes,
      has_table_privilege('jobq.ready', 'select, insert, delete') as runs]])
  if r.missing[1] then
    return "warn", "missing: " .. table.concat(r.missing, ", "),
      "as a superuser: create role ...; as the owner: select jobq.grant_roles()"
  elseif not r.looks then
    return "fail", ("role %s may not look at jobs"):format(text.clean(r.me)),
      ('as the owner: grant jobq_reader to "%s"'):format(text.clean(r.me))
  end
  local rights = { "look", r.changes and "change" or nil }
  table.insert(rights, r.runs and "run jobs" or nil)
  return "ok", ("all four are there; %s may %s"):format(
    text.clean(r.me), table.concat(rights, ", "))
end, {
  fix = function(context)
    local missing = row(context, "select jobq.make_roles() as missing").missing
    row(context, "select jobq.grant_roles()::text")
    return not missing[1] and "made and granted", "this role may not create roles"
  end,
})

check("workers", function(context)
  local r = row(context, [[
    select count(*) as alive,
      count(*) filter (where silent_for > make_interval(secs => $1::float8)) as silent,
      count(load_error) as broken, min(name) filter (where load_error is not null) as name,
      min(split_part(load_error, E'\n', 1)) as load_error, count(distinct version) as versions
    from jobq.worker_status where state = 'running']], SILENT_S)
  local alive = text.count(r.alive, "worker") .. " alive"
  if r.alive == 0 then
    return "warn", "no worker is alive", "start one: jobq-run handlers/"
  elseif r.silent > 0 then
    return "warn", ("%s, %d of them silent for more than %s"):format(
      alive, r.silent, time.span(SILENT_S)),
      "those that are dead go after 5m; jobq workers cleanup is quicker"
  elseif r.broken > 0 then
    return "warn", ("%s, but %s keeps old handlers: %s"):format(
      alive, text.clean(r.name), text.clean(r.load_error)), "mend them, then jobq reload --wait"
  elseif r.versions > 1 then
    return "warn", ("%s, of %d versions"):format(alive, r.versions), "upgrade the others as well"
  end
  return "ok", alive
end, {
  fix = function(context)
    local n = row(context, "select count(*) as n from jobq.recover()").n
    return n > 0 and ("%s declared dead"):format(text.count(n, "worker"))
  end,
})

check("kinds", function(context)
  local r = row(context, [[
    select count(*) as n, sum(pending)::bigint as jobs,
      (array_agg(name order by pending desc))[1:3]::text[] as names
    from jobq.kind_status where workers = 0 and pending > 0]])
  if r.n > 0 then
    return "warn", ("no living worker runs %s of %s: %s"):format(
      text.count(r.jobs, "waiting job"), text.count(r.n, "kind"),
      text.clean(table.concat(r.names, ", "))),
      "jobq kinds --orphans; jobq why ID"
  end
  return "ok", "every waiting job has a worker that knows it"
end)

check("clock", function(context)
  local before = host.time()
  local there = row(context, "select extract(epoch from clock_timestamp())::float8 as now").now
  local off = math.abs((before + host.time()) / 2 - there)
  if off > CLOCK_FAR_OFF_S then
    return "warn", ("this machine and the database differ by %s"):format(time.span(off)),
      "set both by NTP; jobs go by the database's"
  end
  return "ok", ("%s apart"):format(time.span(off))
end)

check("connections", function(context)
  local r = row(context, [[
    select current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int as most,
      (select count(*) from pg_stat_activity where backend_type = 'client backend') as used]])
  local found = ("%d of %d in use; a worker takes 2"):format(r.used, r.most)
  if r.used > r.most * 0.8 then
    return "warn", found, "raise max_connections, or put pgbouncer in front of the applications"
  end
  return "ok", found
end)

local function setting_problems(values)
  local problems = {}
  for _, rule in ipairs {
    { "autovacuum", "off", "autovacuum is off: queues slow down" },
    { "track_counts", "off", "track_counts is off: autovacuum does not work" },
    { "fsync", "off", "fsync is off: a crash may lose jobs, or the database" },
    { "full_page_writes", "off", "full_page_writes is off: a crash may damage the database" },
    { "synchronous_commit", "off", "synchronous_commit is off: a crash may forget enqueued jobs" },
  } do
    if values[rule[1]] == rule[2] then
      table.insert(problems, rule[3])
    end
  end
  return problems
end

check("settings", function(context)
  local r = row(context, [[
    select json_object_agg(name, setting)::text as settings from pg_settings
    where name = any ('{autovacuum,track_counts,fsync,full_page_writes,synchronous_commit}')]])
  local problems = setting_problems(codec.decode(r.settings))
  if problems[1] then
    return "warn", table.concat(problems, "; "), "alter system set ... ; select pg_reload_conf()"
  end
  return "ok", "autovacuum, fsync and synchronous_commit are on"
end)

check("vacuum", function(context)
  local r = row(context, [[
    select coalesce(max(extract(epoch from now() - xact_start)), 0)::float8 as oldest,
      (array_agg(pid order by xact_start))[1] as pid,
      (select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables
       where schemaname = 'jobq' and relname in ('ready', 'lease')) as dead
    from pg_stat_activity where xact_start is not null and pid <> pg_backend_pid()
      and backend_type = 'client backend']])
  if r.oldest > LONG_TRANSACTION_S then
    return "warn",
      ("a transaction is open for %s (pid %d): dead rows stay until it ends"):format(
        time.span(r.oldest), r.pid),
      ("select pg_terminate_backend(%d), if nobody needs it"):format(r.pid)
  end
  return "ok", ("no long transaction; %d dead rows"):format(r.dead)
end)

check("days", function(context)
  local r = row(context, [[
    select to_regclass('jobq.finished_completed' || to_char(
      now() at time zone 'UTC' + interval '1 day', '_YYYYMMDD')) is not null as tomorrow]])
  if not r.tomorrow then
    return "warn", "tomorrow's partition of history is not made yet",
      "a living worker makes it hourly; jobq cleanup does at once"
  end
  return "ok", "history has a partition for tomorrow"
end, {
  fix = function(context)
    row(context, "select jobq.cleanup()")
    return "cleaned up"
  end,
})

check("disk", function(context)
  local r = row(context, [[
    select pg_database_size(current_database()) as size,
      coalesce((select sum(pg_total_relation_size(c.oid)) from pg_class c
        where c.relnamespace = 'jobq'::regnamespace and c.relkind = 'r'), 0)::bigint as ours]])
  local found = ("jobq has %s of the database's %s"):format(bytes(r.ours), bytes(r.size))
  local dir = context.db.dir
  local free, all = host.disk(dir or "")
  if not free then
    return "ok", found
  end
  found = ("%s; %s of %s are free"):format(found, bytes(free), bytes(all))
  if free < LEAST_FREE_BYTES or free < all * LEAST_FREE then
    return "warn", found, "jobq cleanup --older-than T deletes what is finished"
  end
  return "ok", found
end)

return M
