--- Who may do what, by the catalogue and by trying all of it. A function, table, view or sequence
--- that is new fails here until it is listed; so does a right more or less than these tables say.
local postgres = require "support.postgres"

local REFUSED = "42501"
local ROLES = { "admin", "producer", "reader", "worker" }

-- Function -> who may call it.
local EXECUTE = {
  schema_state = "admin producer reader worker", min_worker = "admin producer reader worker",
  schema_of = "admin producer reader worker",
  enqueue = "admin producer worker", enqueue_many = "admin producer worker",
  enqueue_with = "admin producer worker", enqueue_many_with = "admin producer worker",
  find = "admin reader", attempts = "admin reader", stats = "admin reader", why = "admin reader",
  cancel = "admin", cancel_many = "admin", retry = "admin", retry_many = "admin", edit = "admin",
  forget = "admin", delete_finished = "admin", reload = "admin", stop_worker = "admin",
  pause = "admin", resume = "admin",
  result = "admin reader worker", watch = "admin reader", await = "admin reader",
  edit_many = "admin", reschedule = "admin", snooze = "admin", delete_many = "admin",
  refusal_to_commit = "admin reader", tell_waiters = "",
  recover = "admin worker", cleanup = "admin worker",
  declare_kinds = "worker", sort_lanes = "worker", settle = "worker", complete = "worker",
  wake_lanes = "worker", wake = "worker", reconcile = "worker",
  advance = "worker", start_keys = "worker",
  schedule = "admin", unschedule = "admin", pause_schedule = "admin", resume_schedule = "admin",
  run_now = "admin", next_ticks = "admin reader", declare_schedules = "worker",
  declare_limits = "worker", declare_limit = "", put_limit = "", limit_file_lives = "",
  declare_schedule = "",
  open_batch = "admin producer worker", close_batch = "admin producer worker",
  cancel_batch = "admin", batch_news = "worker",
  -- Called by the ones above, with the rights of the owner; or by the owner.
  shown = "", check_options = "", check_args = "", route = "", make_route = "", take_key = "",
  read_options = "", put = "", put_many = "", park = "", unpark = "", why_parked = "",
  follow_up = "worker", find_target = "", why_paused = "",
  set_limit = "admin", drop_limit = "admin", hold_limit = "admin worker",
  use_limit = "admin worker",
  check_limit = "", limit_value = "", limit_bucket_of = "", hold_back = "", leave_limits = "",
  limit_edited = "", fill_slots = "", apply_limits = "", hold_back_all = "", sort_buckets = "",
  adopt = "", watch_adopted = "", fold_limit_notes = "", advance_limits = "", is_served = "",
  take_slots_back = "", why_limited = "",
  batch_ended = "", read_callback = "", runs_in_batch = "", join_batch = "", tell_batches = "",
  return_to_batch = "", call_back = "", tell_parent = "", fold_batch = "", advance_batches = "",
  count_deleted_members = "", forget_batches = "",
  emit_event = "admin producer worker", steps = "admin reader worker",
  keep_step = "worker", keep_checkpoint = "worker", keep_sleep = "worker", wait_event = "worker",
  own_job = "", check_step = "", park_waits = "", end_waits = "", hand_events = "",
  end_late_waits = "", advance_events = "", rewind_steps = "", forget_steps = "",
  expire_from = "", has_expired = "", note_expiry = "", cancel_expired = "", expire = "",
  check_edit = "", lanes_in = "",
  cron_field = "", cron_every = "", cron_never = "", read_cron = "", check_cron = "",
  cron_next = "", zone_offset = "", zone_change = "", cron_tick = "", tick_after = "",
  check_zone = "", check_schedule = "", put_schedule = "", schedule_job = "", schedule_tick = "",
  last_due = "", schedule_catch_up = "", schedule_due = "", schedule_release = "",
  advance_schedules = "", follow_schedules = "",
  has_not_begun = "", wrong_unique = "", key_of = "", period_end = "", append_args = "", renew = "",
  check_key = "", take_over = "", take_second_turn = "", take_turn = "", put_each = "",
  promote_key = "", promote_all = "", release_keys = "", forget_keys = "", promote_followers = "",
  why_follows = "",
  make_meta = "", requeue = "", check_retry = "", span = "", why_nobody = "", why_waiting = "",
  why_not_yet = "", why_elsewhere = "", make_days = "", drop_days = "", make_roles = "",
  grant_roles = "",
}

-- Table or view -> role -> what it may there. Partitions are reached through their parents only.
local RELATIONS = {
  migration = { admin = "SELECT", producer = "SELECT", reader = "SELECT", worker = "SELECT" },
  job = { admin = "SELECT", reader = "SELECT" },
  log = { admin = "SELECT", reader = "SELECT" },
  kind_status = { admin = "SELECT", reader = "SELECT" },
  worker_status = { admin = "SELECT", reader = "SELECT" },
  batch_status = { admin = "SELECT", reader = "SELECT" },
  batch = {},
  batch_delta = {},
  schedule_status = { admin = "SELECT", reader = "SELECT" },
  schedule = {}, schedule_run = {},
  queue = { worker = "INSERT SELECT" },
  kind = { worker = "INSERT SELECT UPDATE" },
  lane = { worker = "INSERT SELECT UPDATE" },
  worker = { worker = "INSERT SELECT UPDATE" },
  ready = { worker = "DELETE INSERT SELECT UPDATE" },
  parked = { worker = "SELECT" },
  pause = { worker = "SELECT" },
  pause_status = { admin = "SELECT", reader = "SELECT" },
  queue_status = { admin = "SELECT", reader = "SELECT" },
  limits = { worker = "SELECT" },
  limit_state = { worker = "DELETE SELECT" },
  limit_slot = {}, limit_bucket = {}, limit_note = {}, limit_turn = {},
  limit_status = { admin = "SELECT", reader = "SELECT" },
  lease = { worker = "DELETE INSERT SELECT UPDATE" },
  progress = { worker = "DELETE INSERT SELECT UPDATE" },
  finished = { worker = "INSERT" },
  attempt = { worker = "INSERT" },
  job_log = { worker = "INSERT" },
  sleeper = { worker = "DELETE INSERT SELECT" },
  unique_key = {}, unique_check = {}, expiry = {}, waiter = { worker = "SELECT" },
  cancel_request = { worker = "DELETE SELECT" },
  finished_completed = {}, finished_completed_default = {}, finished_completed_DAY = {},
  finished_failed = {}, finished_cancelled = {},
  step = {}, event = {}, event_look = { worker = "SELECT" },
  attempt_default = {}, attempt_DAY = {}, job_log_default = {}, job_log_DAY = {},
}

-- Identity columns draw from theirs without a right to it.
local SEQUENCES = {
  "batch_id_seq", "event_id_seq", "kind_id_seq", "lane_id_seq", "limits_id_seq", "queue_id_seq",
  "ready_id_seq",
}

local GRANTS = [[
  select o.kind, regexp_replace(o.name, '_\d{8}$', '_DAY') as name,
    case a.grantee when 0 then 'PUBLIC' else a.grantee::regrole::text end as grantee,
    string_agg(distinct a.privilege_type, ' ' order by a.privilege_type) as rights
  from (
    select 'function', proname, coalesce(proacl, acldefault('f', proowner)), proowner
    from pg_proc where pronamespace = 'jobq'::regnamespace
    union all
    select case relkind when 'S' then 'sequence' else 'relation' end, relname,
      coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)),
      relowner
    from pg_class where relnamespace = 'jobq'::regnamespace and relkind not in ('i', 'I', 'c')
    union all
    select 'schema', nspname, coalesce(nspacl, acldefault('n', nspowner)), nspowner
    from pg_namespace where nspname = 'jobq'
    union all
    select 'type', typname, coalesce(typacl, acldefault('T', typowner)), typowner
    from pg_type where typnamespace = 'jobq'::regnamespace and typtype in ('e', 'd', 'r')
  ) o (kind, name, acl, owner)
  left join lateral aclexplode(o.acl) a on a.grantee <> o.owner
  group by 1, 2, 3]]

local FUNCTIONS = [[
  select p.proname as name, format(case p.prokind when 'p' then 'call' else 'select * from' end
      || ' jobq.%I(%s)', p.proname, (
      select string_agg('null::' || format_type(t.type, null), ', ' order by t.number)
      from unnest(p.proargtypes) with ordinality t (type, number))) as call
  from pg_proc p where p.pronamespace = 'jobq'::regnamespace order by 1]]

-- What a relation can be asked for at all: not every view takes rows.
local STATEMENTS = [[
  select regexp_replace(c.relname, '_\d{8}$', '_DAY') as name, s.privilege,
    format(s.form, c.relname, (
      select a.attname from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = '' limit 1)) as call
  from pg_class c
  cross join (values
    ('SELECT', 'select from jobq.%I where false', 0),
    ('INSERT', 'insert into jobq.%I default values', 8),
    ('UPDATE', 'update jobq.%I set %I = null where false', 4),
    ('DELETE', 'delete from jobq.%I where false', 16),
    ('TRUNCATE', 'truncate jobq.%I', 0)) s (privilege, form, event)
  where c.relnamespace = 'jobq'::regnamespace and c.relkind in ('r', 'p', 'v')
    and pg_relation_is_updatable(c.oid, false) & s.event = s.event
    and not (c.relkind = 'v' and s.privilege = 'TRUNCATE')
  order by 1]]

local function words(text)
  local set = {}
  for word in (text or ""):gmatch "%S+" do
    set[word] = true
  end
  return set
end

-- "kind name grantee: rights", a line each; grantee "-" for an object that nobody has a right to.
local function line(kind, name, grantee, rights)
  return ("%s %s %s: %s"):format(kind, name, grantee or "-", rights or "nothing")
end

local function listed_rights()
  local lines = {}
  for name, callers in pairs(EXECUTE) do
    lines[line("function", name)] = true
    for role in pairs(words(callers)) do
      lines[line("function", name, "jobq_" .. role, "EXECUTE")] = true
    end
  end
  for name, by_role in pairs(RELATIONS) do
    lines[line("relation", name)] = true
    for role, rights in pairs(by_role) do
      lines[line("relation", name, "jobq_" .. role, rights)] = true
    end
  end
  for _, name in ipairs(SEQUENCES) do
    lines[line("sequence", name)] = true
  end
  for _, role in ipairs(ROLES) do
    lines[line("schema", "jobq", "jobq_" .. role, "USAGE")] = true
  end
  lines[line("schema", "jobq")] = true
  lines[line("type", "ending")] = true
  return lines
end

local function found_rights(db)
  local lines = {}
  for _, row in ipairs(db:query(GRANTS)) do
    lines[line(row.kind, row.name)] = true
    lines[line(row.kind, row.name, row.grantee, row.rights)] = true
  end
  return lines
end

local function beyond(some, others)
  local lines = {}
  for each in pairs(some) do
    if not others[each] then
      table.insert(lines, each)
    end
  end
  table.sort(lines)
  return lines
end

describe("rights", function()
  local db

  setup(function()
    db = postgres.database()
    db:query "create role spec_stranger"
  end)

  teardown(function()
    db:query "drop role spec_stranger"
    db:close()
  end)

  -- Nothing that it does lasts.
  local function is_refused(conn, call)
    assert(conn:query "begin")
    local _, _, sqlstate = conn:query(call)
    assert(conn:query "rollback")
    return sqlstate == REFUSED
  end

  local function as(role, check)
    local conn <close> = db:connect()
    assert(conn:query("set role " .. role))
    local wrong = {}
    check(function(call, may)
      if is_refused(conn, call) == may then
        table.insert(wrong, (may and "is refused: " or "may: ") .. call)
      end
    end)
    assert.same({}, wrong, role)
  end

  local function try_everything(role)
    as(role == "stranger" and "spec_stranger" or "jobq_" .. role, function(try)
      for _, f in ipairs(db:query(FUNCTIONS)) do
        try(f.call, words(EXECUTE[f.name])[role] == true)
      end
      for _, s in ipairs(db:query(STATEMENTS)) do
        try(s.call, words((RELATIONS[s.name] or {})[role])[s.privilege] == true)
      end
      for _, name in ipairs(SEQUENCES) do
        try(("select nextval('jobq.%s')"):format(name), false)
        try(("select setval('jobq.%s', 1)"):format(name), false)
        try(("select last_value from jobq.%s"):format(name), false)
      end
      try("create table jobq.mine ()", false)
      try("create function jobq.mine() returns int language sql as 'select 1'", false)
      try("alter table jobq.ready add mine int", false)
      try("drop function jobq.settle", false)
      try("grant jobq_admin to spec_stranger", false)
    end)
  end

  it("in the catalogue are those of the tables in this file", function()
    local listed, found = listed_rights(), found_rights(db)
    assert.same({ too_much = {}, missing = {} },
      { too_much = beyond(found, listed), missing = beyond(listed, found) })
  end)

  it("are told by the name of a function, so that no name has two", function()
    assert.same({}, db:query [[select proname from pg_proc
      where pronamespace = 'jobq'::regnamespace group by 1 having count(*) > 1]])
  end)

  it("come by no other way: columns, default rights, other roles, attributes", function()
    assert.same({}, db:query [[select attrelid::regclass::text as of, attname from pg_attribute a
      join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'jobq'::regnamespace and a.attacl is not null]])
    assert.same({}, db:query [[select defaclacl::text from pg_default_acl
      where defaclnamespace in (0, 'jobq'::regnamespace)]])
    assert.same({}, db:query [[select member::regrole::text, roleid::regrole::text
      from pg_auth_members where member::regrole::text like 'jobq\_%']])
    assert.same({}, db:query [[select rolname from pg_roles
      where rolname like 'jobq\_%' and (rolsuper
      or rolcreaterole or rolcreatedb or rolcanlogin or rolreplication or rolbypassrls)]])
  end)

  for _, role in ipairs(ROLES) do
    it(("of %s are enough for that, and refuse the rest with 42501"):format(role), function()
      try_everything(role)
    end)
  end

  it("of anybody else are none", function()
    try_everything "stranger"
  end)
end)
