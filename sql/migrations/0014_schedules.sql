-- min_worker: 0.1.0
-- schedules - jobs that come by the clock: cron lines, daylight saving, and the tick that makes the job.
--
-- Everything about time is here and nowhere else, so that no worker and no library has an opinion of its own: the zones
-- are those of PostgreSQL. A tick is one guarded move of next_tick in the schedule's row, in the transaction that makes
-- the job: whoever gets there makes it, once, and no history has to be kept for that.
--
-- Lock discipline: who defines or changes a schedule may keep its row locked for hours; ticking passes such rows by.

create table jobq.schedule (
  missed_window interval not null default '1 hour',
  jitter        interval not null default '0',
  created_at    timestamptz not null default now(),
  since         timestamptz not null default now(),    -- its line and zone are; @every counts from here
  last_tick     timestamptz,
  next_tick     timestamptz,                           -- null: there is none
  last_job      bigint,
  skipped       bigint not null default 0,             -- ticks that made no job
  paused_at     timestamptz,
  paused_by     text,
  paused_reason text,
  failed_at     timestamptz,                           -- when a tick could not make its job; tried again
  problem       text,                                  -- why
  declared_by   bigint,                                -- worker whose handler file has it; null: jobq.schedule() has
  source        text,                                  -- the file and line
  name          text primary key constraint schedule_name_length check (length(name) between 1 and 100),
  kind          text not null,
  expression    text not null,
  zone          text not null,
  overlap       text not null constraint schedule_overlap
    check (overlap in ('skip', 'queue_one', 'queue', 'allow', 'cancel')),
  missed        text not null constraint schedule_missed check (missed in ('one', 'skip', 'all')),
  args          jsonb not null,
  options       jsonb not null                         -- of jobq.enqueue_with
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.schedule is 'Jobs that come by the clock; the view jobq.schedule_status shows it.';
create index schedule_due on jobq.schedule (next_tick) where paused_at is null;

-- The jobs of schedules that have not ended: what overlap looks at. A job that waits for another of its schedule is
-- parked.
create table jobq.schedule_run (
  job_id   bigint primary key,
  tick     timestamptz not null,
  waits    boolean not null default false,
  followed boolean not null,                           -- one may wait for its end
  schedule text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.schedule_run is 'Jobs of schedules that have not ended yet.';
create index schedule_run_schedule on jobq.schedule_run (schedule);

-- Cron lines ---------------------------------------------------------------------------------------

create type jobq.cron as (
  seconds  int[],                                      -- each sorted, never empty
  minutes  int[],
  hours    int[],
  days     int[],                                      -- of the month; 32 is the last one
  months   int[],
  weekdays int[],                                      -- 0 is Sunday
  either   boolean,                                    -- day or weekday will do, as neither begins with *
  runs_on  boolean,                                    -- * in minute or hour: ticks by the time that really passes
  every    interval                                    -- of @every; all else is null then
);
comment on type jobq.cron is 'A cron line, read.';

-- One field as a sorted set. A weekday's range may wrap: fri-mon.
create function jobq.cron_field(number int, field text, name text, lowest int, highest int, names text[]) returns int[]
language plpgsql immutable as $$
declare
  place constant text := format('%s (field %s): ', name, number);
  part text;
  bits text[];
  bounds int[];
  step int;
  found int[] := '{}';
begin
  foreach part in array string_to_array(lower(field), ',') loop
    if part = 'l' and name = 'day' then
      found := found || 32;
      continue;
    end if;
    bits := regexp_match(part, '^(?:(\*)|([a-z]+|\d{1,4})(?:-([a-z]+|\d{1,4}))?)(?:/(\d{1,4}))?$');
    if bits is null then
      raise '%"%" is not understood', place, part using errcode = 'invalid_parameter_value',
        hint = 'write *, 5, 1-5, */15, 1-30/2, or several of these with commas'
          || case when names is null then '' else '; or ' || names[1] || ' to ' || names[cardinality(names)] end;
    end if;
    bounds := array[lowest, highest];
    for i in 2..3 loop
      continue when bits[i] is null;
      bounds[i - 1] := case when bits[i] ~ '^\d' then bits[i]::int else array_position(names, bits[i]) + lowest - 1 end;
      if bounds[i - 1] is null then
        raise '%"%" is no name', place, bits[i] using errcode = 'invalid_parameter_value',
          hint = case when names is null then format('expected %s to %s', lowest, highest)
            else 'known are ' || array_to_string(names, ', ') end;
      elsif bounds[i - 1] not between lowest and highest + (name = 'weekday')::int then
        raise '%"%" is out of range, expected % to %', place, bits[i], lowest,
          highest + (name = 'weekday')::int
          using errcode = 'invalid_parameter_value';
      end if;
    end loop;
    if bits[3] is null and bits[4] is null and bits[1] is null then
      bounds[2] := bounds[1];
    end if;
    step := coalesce(bits[4]::int, 1);
    if step not between 1 and highest - lowest + 1 then
      raise '%step % is out of range, expected 1 to %', place, step, highest - lowest + 1
        using errcode = 'invalid_parameter_value';
    end if;
    if bounds[2] < bounds[1] and name = 'weekday' then
      bounds[2] := bounds[2] + 7;
    elsif bounds[2] < bounds[1] then
      raise '%range % goes backwards', place, part using errcode = 'invalid_parameter_value',
        hint = format('write %s-%s,%s-%s', bounds[1], highest, lowest, bounds[2]);
    end if;
    found := found || array(
      select case when name = 'weekday' then v % 7 else v end from generate_series(bounds[1], bounds[2], step) v);
  end loop;
  return array(select distinct v from unnest(found) v order by 1);
end $$;
comment on function jobq.cron_field is 'One field of a cron line as a sorted set of numbers, or an error that names the field and its mistake.';

-- @every 1h30m
create function jobq.cron_every(span text) returns interval
language plpgsql immutable as $$
declare
  bits text[] := regexp_match(span, '^(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?$');
  every interval := make_interval(secs => coalesce(bits[1]::float8, 0) * 86400 + coalesce(bits[2]::float8, 0) * 3600
    + coalesce(bits[3]::float8, 0) * 60 + coalesce(bits[4]::float8, 0));
begin
  if bits is null or every not between interval '1 second' and interval '8784 hours' then
    raise '@every "%" is not understood, expected 1s to 366d', span using errcode = 'invalid_parameter_value',
      hint = 'write @every 90s, 15m, 1h30m or 2d';
  end if;
  return every;
end $$;
comment on function jobq.cron_every is 'The interval of an @every line.';

-- What can never be: every day that is asked for lies behind the end of every month that is.
create function jobq.cron_never(c jobq.cron) returns text
language sql immutable as $$
  select format('%s has no day %s', lower(to_char(make_date(2000, m, 1), 'FMMonth')), c.days[1])
  from unnest(c.months) m
  where not c.either and c.days[1] <> 32 and c.days[1] > all (
    select extract(day from make_date(2000, n, 1) + interval '1 month - 1 day')::int from unnest(c.months) n)
  order by m
  limit 1
$$;
comment on function jobq.cron_never is 'Why a cron line never fires; null if it does.';

create function jobq.read_cron(line text) returns jobq.cron
language plpgsql immutable as $$
declare
  months constant text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
  weekdays constant text[] := '{sun,mon,tue,wed,thu,fri,sat}';
  fields text[] := regexp_split_to_array(btrim(line, E' \t\n'), '\s+');
  first int;                                           -- the number of the field before the minute
  c jobq.cron;
  why text;
begin
  if line is null or length(line) > 500 then
    raise 'it is %, expected a cron line', case when line is null then 'null' else 'too long' end using errcode = 'invalid_parameter_value';
  elsif lower(fields[1]) = '@every' and cardinality(fields) = 2 then
    c.every := jobq.cron_every(lower(fields[2]));
    return c;
  elsif fields[1] like '@%' then
    fields := string_to_array(case case when cardinality(fields) = 1 then lower(fields[1]) end
      when '@yearly' then '0 0 1 1 *' when '@annually' then '0 0 1 1 *' when '@monthly' then '0 0 1 * *'
      when '@weekly' then '0 0 * * 0' when '@daily' then '0 0 * * *' when '@midnight' then '0 0 * * *'
      when '@hourly' then '0 * * * *' when '@minutely' then '* * * * *' end, ' ');
    if fields is null then
      raise '% is not known', jobq.shown(line) using errcode = 'invalid_parameter_value',
        hint = 'known are @yearly, @monthly, @weekly, @daily, @hourly, @minutely and @every 90s';
    end if;
  elsif cardinality(fields) not in (5, 6) then
    raise 'it has % fields, expected 5 (minute hour day month weekday) or 6 (second first)',
      case when fields = '{""}' then 0 else cardinality(fields) end using errcode = 'invalid_parameter_value';
  end if;
  first := cardinality(fields) - 5;
  c.seconds := case when first = 0 then '{0}' else jobq.cron_field(1, fields[1], 'second', 0, 59, null) end;
  c.minutes := jobq.cron_field(first + 1, fields[first + 1], 'minute', 0, 59, null);
  c.hours := jobq.cron_field(first + 2, fields[first + 2], 'hour', 0, 23, null);
  c.days := jobq.cron_field(first + 3, fields[first + 3], 'day', 1, 31, null);
  c.months := jobq.cron_field(first + 4, fields[first + 4], 'month', 1, 12, months);
  c.weekdays := jobq.cron_field(first + 5, fields[first + 5], 'weekday', 0, 6, weekdays);
  c.either := fields[first + 3] not like '*%' and fields[first + 5] not like '*%';
  c.runs_on := fields[first + 1] like '*%' or fields[first + 2] like '*%';
  why := jobq.cron_never(c);
  if why is not null then
    raise 'it never fires' using errcode = 'invalid_parameter_value', hint = why;
  end if;
  return c;
end $$;
comment on function jobq.read_cron is 'Reads a cron line of five or six fields, @daily and the like, or @every 90s; an error names the field, its value and what was expected.';

-- The next point of a clock on the wall, which knows no zone. Null: not within 41 years.
create function jobq.cron_next(c jobq.cron, after timestamp) returns timestamp
language plpgsql immutable as $$
declare
  day date := after::date;
  last constant date := day + 15000;
  hour constant int := extract(hour from after);
  minute constant int := extract(minute from after);
  second constant int := floor(extract(second from after));
  clock time;                                          -- on that day
  in_month boolean;
  in_week boolean;
begin
  -- What is left of the first day, else the first time of any.
  clock := coalesce(
    (select make_time(hour, minute, min(s)) from unnest(c.seconds) s
      where s > second and hour = any (c.hours) and minute = any (c.minutes)),
    (select make_time(hour, min(m), c.seconds[1]) from unnest(c.minutes) m where m > minute and hour = any (c.hours)),
    (select make_time(min(h), c.minutes[1], c.seconds[1]) from unnest(c.hours) h where h > hour));
  if clock is null then
    day := day + 1;
    clock := make_time(c.hours[1], c.minutes[1], c.seconds[1]);
  end if;
  loop
    in_month := extract(day from day)::int = any (c.days) or 32 = any (c.days) and extract(day from day + 1) = 1;
    in_week := extract(dow from day)::int = any (c.weekdays);
    if day > last then
      return null;
    elsif extract(month from day)::int <> all (c.months) then
      day := date_trunc('month', day::timestamp) + interval '1 month';
    elsif c.either and (in_month or in_week) or in_month and in_week then
      return day + clock;
    else
      day := day + 1;
    end if;
    clock := make_time(c.hours[1], c.minutes[1], c.seconds[1]);
  end loop;
end $$;
comment on function jobq.cron_next is 'The next time of a cron line on a clock without a zone.';

-- How far a zone's clock is ahead of UTC at an instant.
create function jobq.zone_offset(zone text, at timestamptz) returns interval
language sql stable as $$
  select ($2 at time zone $1) - ($2 at time zone 'UTC')
$$;
comment on function jobq.zone_offset is 'How far the clock of a zone is ahead of UTC at that time.';

-- The first second at which a zone's clock is no longer what it was; there is one change in that span.
create function jobq.zone_change(zone text, after timestamptz, until timestamptz) returns timestamptz
language plpgsql stable as $$
declare
  before constant interval := jobq.zone_offset(zone, after);
  low bigint := floor(extract(epoch from after));
  high bigint := ceil(extract(epoch from until));
  middle bigint;
begin
  while high - low > 1 loop
    middle := (low + high) / 2;
    if jobq.zone_offset(zone, to_timestamp(middle)) = before then
      low := middle;
    else
      high := middle;
    end if;
  end loop;
  return to_timestamp(high);
end $$;
comment on function jobq.zone_change is 'When the clock of a zone is put forward or back within a span.';

-- The next tick after an instant. Where the clock is put forward or back:
--   fixed minute and hour    a time that does not exist is later by as much as the clock jumps, and no second tick where
--                            another is then; of a time that comes twice it is the first
--   * in minute or hour      what the clock shows while time goes on: skipped with the gap, twice in the repeated hour
-- Around a change, at `change`, the clock before it and the clock after it are looked at apart. Fixed times belong to the
-- clock before until both agree that it is over; others as soon as the change has come.
create function jobq.cron_tick(c jobq.cron, zone text, after timestamptz) returns timestamptz
language plpgsql stable as $$
declare
  wide constant interval := '26 hours';                -- more than any clock was ever put
  since timestamptz := after;
  before interval;                                     -- offsets
  beyond interval;
  change timestamptz;
  border timestamp;                                    -- local time up to which the clock before counts
  first timestamp;
  second timestamp;
  tick timestamptz;
begin
  loop
    before := jobq.zone_offset(zone, since - wide);
    beyond := jobq.zone_offset(zone, since + wide);
    first := jobq.cron_next(c, (since at time zone 'UTC') + before);
    if before = beyond then
      tick := (first - before) at time zone 'UTC';
    else
      change := jobq.zone_change(zone, since - wide, since + wide);
      border := (change at time zone 'UTC') + case when c.runs_on then before else greatest(before, beyond) end;
      if first >= border then
        first := null;
      end if;
      border := (change at time zone 'UTC') + case when c.runs_on then beyond else greatest(before, beyond) end;
      second := jobq.cron_next(c, greatest((since at time zone 'UTC') + beyond, border - interval '1 second'));
      tick := least((first - before) at time zone 'UTC', (second - beyond) at time zone 'UTC');
    end if;
    if tick is null or tick <= since + wide then
      return tick;
    end if;
    since := tick - interval '25 hours';               -- nothing comes before; what the clock does there was not seen
  end loop;
end $$;
comment on function jobq.cron_tick is 'The next tick of a cron line in a zone after an instant; null if there is none.';

-- anchor: what @every counts from.
create function jobq.tick_after(c jobq.cron, zone text, after timestamptz, anchor timestamptz) returns timestamptz
language plpgsql stable as $$
declare
  n bigint;
begin
  if c.every is null then
    return jobq.cron_tick(c, zone, after);
  end if;
  n := floor(extract(epoch from after - anchor) / extract(epoch from c.every));
  return anchor + c.every * (n + case when anchor + c.every * (n + 1) > after then 1 else 2 end);
end $$;
comment on function jobq.tick_after is 'The next tick of what jobq.read_cron answered, after an instant; @every counts from the anchor.';

create function jobq.check_zone(zone text) returns boolean
language plpgsql stable as $$
declare
  near text;
begin
  if exists (select from pg_timezone_names z where z.name = check_zone.zone) then
    return true;
  end if;
  select z.name into near from pg_timezone_names z
    where lower(z.name) like '%' || lower(replace(check_zone.zone, ' ', '_')) order by length(z.name) limit 1;
  raise 'zone % is not known', jobq.shown(zone) using errcode = 'invalid_parameter_value',
    hint = coalesce('did you mean "' || near || '"?', 'write one of pg_timezone_names, e.g. Europe/Berlin');
end $$;
comment on function jobq.check_zone is 'Raises an error if PostgreSQL has no time zone of that name.';

-- The line in a message, before what is wrong with it.
create function jobq.check_cron(expression text) returns jobq.cron
language plpgsql immutable as $$
declare
  why text;
  more text;
begin
  return jobq.read_cron(expression);
exception
  when invalid_parameter_value then
    get stacked diagnostics more = pg_exception_hint;
    raise 'schedule %: %', jobq.shown(expression), sqlerrm using errcode = 'invalid_parameter_value',
      hint = coalesce(nullif(more, ''), 'e.g. 30 3 * * mon-fri: half past three, monday to friday');
end $$;
comment on function jobq.check_cron is 'Reads a cron line; its errors name the whole line, too.';

create function jobq.next_ticks(
  expression text, zone text default 'UTC', n int default 5, after timestamptz default now()
) returns setof timestamptz
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  c jobq.cron := jobq.check_cron(expression);
  tick timestamptz := coalesce(after, now());
  anchor constant timestamptz := tick;
  checked boolean := jobq.check_zone(zone);
begin
  if n is null or n not between 1 and 10000 then
    raise 'n % is out of range, expected 1 to 10000', coalesce(n::text, 'null') using errcode = 'invalid_parameter_value';
  end if;
  for i in 1..n loop
    tick := jobq.tick_after(c, zone, tick, anchor);
    exit when tick is null;
    return next tick;
  end loop;
end $$;
comment on function jobq.next_ticks is 'The next n times of a cron line in a zone; @every counts from `after`.';

-- Schedules ----------------------------------------------------------------------------------------

create function jobq.check_schedule(s jobq.schedule) returns boolean
language plpgsql stable as $$
declare
  wrong text;
  o jobq.job_options := jobq.read_options(s.options);
  checked boolean;
begin
  wrong := case
    when s.name is null or length(s.name) not between 1 and 100 then
      format('schedule %s has %s characters in its name, expected 1 to 100', jobq.shown(s.name), coalesce(length(s.name), 0))
    when s.overlap is null or s.overlap not in ('skip', 'queue_one', 'queue', 'allow', 'cancel') then
      format('overlap %s is not known, expected skip, queue_one, queue, allow or cancel', jobq.shown(s.overlap))
    when s.missed is null or s.missed not in ('one', 'skip', 'all') then
      format('missed %s is not known, expected one, skip or all', jobq.shown(s.missed))
    when s.missed_window is null or s.missed_window not between interval '0' and interval '31 days' then
      format('missed_window %s is out of range, expected 0 to 31 days', s.missed_window)
    when s.jitter is null or s.jitter not between interval '0' and interval '1 day' then
      format('jitter %s is out of range, expected 0 to 1 day', s.jitter)
    when o.run_at is not null then
      format('run_at %s makes no sense: the tick is when it runs', o.run_at)
  end;
  if wrong is not null then
    raise '%', wrong using errcode = 'invalid_parameter_value';
  end if;
  checked := jobq.check_options(s.kind, o);
  return jobq.check_args(s.kind, s.args, ' ') is not null;
end $$;
comment on function jobq.check_schedule is 'Raises an error that names the first thing of a schedule that cannot be.';

-- Makes it or changes it. With another line or zone it starts anew: what it would have done until now is not made up.
create function jobq.put_schedule(s jobq.schedule) returns timestamptz
language plpgsql as $$
#variable_conflict use_variable
declare
  c jobq.cron := jobq.check_cron(s.expression);
  checked boolean := jobq.check_schedule(s);
  known jobq.schedule;
begin
  loop
    select x.* into known from jobq.schedule x where x.name = s.name for update;
    if known.source is null and known.name is not null and s.source is not null then
      raise 'schedule % is already defined by jobq.schedule()', jobq.shown(s.name)
        using errcode = 'invalid_parameter_value', hint = 'jobq schedules remove ' || s.name;
    elsif known.source is not null and s.source is null then
      raise 'schedule % is already defined in %', jobq.shown(s.name), known.source
        using errcode = 'invalid_parameter_value', hint = 'change it there, or choose another name';
    elsif known.declared_by <> s.declared_by and split_part(known.source, ':', 1) <> split_part(s.source, ':', 1)
        and exists (select from jobq.worker w where w.id = known.declared_by and w.state = 'running') then
      raise 'schedule % is already defined in %', jobq.shown(s.name), known.source
        using errcode = 'invalid_parameter_value';
    end if;
    if (known.expression, known.zone) is not distinct from (s.expression, s.zone) then
      s.since := known.since;
      s.next_tick := known.next_tick;
    else
      checked := jobq.check_zone(s.zone);
      s.since := now();
      s.next_tick := jobq.tick_after(c, s.zone, now(), now());
    end if;
    if known.name is null then
      insert into jobq.schedule (name, kind, expression, zone, args, options, overlap, missed, missed_window, jitter,
          source, declared_by, since, next_tick)
        values (s.name, s.kind, s.expression, s.zone, s.args, s.options, s.overlap, s.missed, s.missed_window, s.jitter,
          s.source, s.declared_by, s.since, s.next_tick)
        on conflict do nothing;
      exit when found;                                 -- else: somebody else just made it, look again
    else
      update jobq.schedule x set kind = s.kind, expression = s.expression, zone = s.zone, args = s.args,
          options = s.options, overlap = s.overlap, missed = s.missed, missed_window = s.missed_window,
          jitter = s.jitter, source = s.source, declared_by = s.declared_by, since = s.since, next_tick = s.next_tick,
          failed_at = null, problem = null
        where x.name = s.name;
      exit;
    end if;
  end loop;
  perform pg_notify('jobq_control', 'advance');
  return s.next_tick;
end $$;
comment on function jobq.put_schedule is 'Makes a schedule or changes the one of that name; when its next tick is.';

create function jobq.schedule(
  name text, expression text, kind text, args jsonb default '{}', zone text default 'UTC', overlap text default 'skip',
  missed text default 'one', missed_window interval default '1 hour', jitter interval default '0',
  options jsonb default '{}'
) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  s jobq.schedule;
begin
  s.name := name;
  s.expression := expression;
  s.kind := kind;
  s.args := coalesce(args, '{}');
  s.zone := coalesce(zone, 'UTC');
  s.overlap := coalesce(overlap, 'skip');
  s.missed := coalesce(missed, 'one');
  s.missed_window := coalesce(missed_window, '1 hour');
  s.jitter := coalesce(jitter, '0');
  s.options := coalesce(options, '{}');
  return jobq.put_schedule(s);
end $$;
comment on function jobq.schedule is 'Makes a schedule, or changes the one of that name: a job of that kind at each tick of a cron line; returns the next.

expression has five fields (minute hour day month weekday), six (second first), or is @yearly, @monthly, @weekly, @daily, @hourly, @minutely or @every 90s. zone is one of pg_timezone_names. overlap says what a tick does while an earlier job has not ended: skip, queue_one, queue, allow, cancel. missed says what becomes of ticks that nobody was there for, within missed_window: one, skip, all. Each job waits a part of jitter. options are those of jobq.enqueue_with.';

-- What a handler file says of one kind, as bindings/lua/jobq/schedule.lua wrote it. The same again writes nothing.
create function jobq.declare_schedule(worker bigint, kind text, source text, given jsonb) returns void
language plpgsql as $$
#variable_conflict use_variable
declare
  s jobq.schedule;
  known jobq.schedule;
begin
  s.name := kind;
  s.kind := kind;
  s.source := source;
  s.declared_by := worker;
  s.expression := given ->> 'expression';
  s.zone := coalesce(given ->> 'zone', 'UTC');
  s.args := coalesce(given -> 'args', '{}');
  s.options := '{}';
  s.overlap := coalesce(given ->> 'overlap', 'skip');
  s.missed := coalesce(given ->> 'missed', 'one');
  s.missed_window := make_interval(secs => coalesce((given ->> 'window')::float8, 3600));
  s.jitter := make_interval(secs => coalesce((given ->> 'jitter')::float8, 0));
  select x.* into known from jobq.schedule x where x.name = kind;
  if (known.source, known.expression, known.zone, known.args, known.overlap, known.missed, known.missed_window, known.jitter)
        is distinct from (s.source, s.expression, s.zone, s.args, s.overlap, s.missed, s.missed_window, s.jitter)
      or not exists (select from jobq.worker w where w.id = known.declared_by and w.state = 'running') then
    perform jobq.put_schedule(s);
  end if;
end $$;
comment on function jobq.declare_schedule is 'Makes or changes the schedule that a handler file has for its kind.';

-- A schedule that has left its file goes: at once when the worker knows the kind without one, or when the worker that
-- declared it lives and nobody runs the kind any more. A worker that is away takes nothing along: it may come back in a
-- minute (schedule_catch_up looks after a day).
create function jobq.declare_schedules(worker bigint, names text[], schedules text[], sources text[])
returns table (problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  told record;
  hint text;
  problems text[] := '{}';
  mark constant text := 'schedule of ';                -- what load_error begins with, when it is ours
begin
  for told in
    select d.name, d.schedule, d.source from unnest(names, schedules, sources) d (name, schedule, source)
    where d.schedule <> '' or exists (select from jobq.schedule s where s.name = d.name and s.source is not null)
    order by d.name
  loop
    begin
      if told.schedule <> '' then
        perform jobq.declare_schedule(declare_schedules.worker, told.name, told.source, told.schedule::jsonb);
      else
        delete from jobq.schedule s
        where s.name = told.name and s.source is not null
          and (split_part(s.source, ':', 1) = split_part(told.source, ':', 1) or not exists (
            select from jobq.worker w where w.id = s.declared_by and w.state = 'running'));
      end if;
    exception
      when others then
        get stacked diagnostics hint = pg_exception_hint;
        problem := format('%s%s (%s): %s', mark, told.name, told.source, sqlerrm)
          || coalesce(E'\nhint: ' || nullif(hint, ''), '');
        problems := problems || problem;
        return next;
    end;
  end loop;
  delete from jobq.schedule s
  where s.name in (
    select x.name from jobq.schedule x
    where x.source is not null and x.kind <> all (names)
      and exists (select from jobq.worker w where w.id = x.declared_by and w.state = 'running')
      and not exists (
        select from jobq.worker w join jobq.kind k on k.id = any (w.kinds) where w.state = 'running' and k.name = x.kind)
    for update skip locked);
  update jobq.worker w set load_error = nullif(array_to_string(problems, E'\n'), '')
    where w.id = declare_schedules.worker
      and (problems <> '{}' and w.load_error is null or w.load_error like mark || '%');
end $$;
comment on function jobq.declare_schedules is 'Stores the schedules of a worker''s handlers and removes those that have left their files; answers what is wrong with some.';

create function jobq.unschedule(name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone jobq.schedule;
begin
  delete from jobq.schedule s where s.name = unschedule.name returning s.* into gone;
  if exists (select from jobq.worker w join jobq.kind k on k.id = any (w.kinds)
             where w.id = gone.declared_by and w.state = 'running' and k.name = gone.kind) then
    raise 'schedule % is defined in %', jobq.shown(name), gone.source using errcode = 'object_not_in_prerequisite_state',
      hint = 'take it out there, or pause it';
  end if;
  return gone.name is not null;
end $$;
comment on function jobq.unschedule is 'Removes a schedule; its jobs stay. False if there is none of that name. One of a handler file is removed there.';

create function jobq.pause_schedule(name text, reason text default null, author text default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update jobq.schedule s
    set paused_at = coalesce(s.paused_at, now()), paused_by = coalesce(author, session_user), paused_reason = left(reason, 1000)
    where s.name = pause_schedule.name;
  return found;
end $$;
comment on function jobq.pause_schedule is 'A schedule makes no jobs until it is resumed, also when its file is loaded anew. False if there is none.';

create function jobq.resume_schedule(name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  s jobq.schedule;
begin
  select x.* into s from jobq.schedule x where x.name = resume_schedule.name for update;
  if s.paused_at is not null then
    update jobq.schedule x set paused_at = null, paused_by = null, paused_reason = null,
        next_tick = jobq.tick_after(jobq.read_cron(s.expression), s.zone, now(), s.since)
      where x.name = s.name;
    perform pg_notify('jobq_control', 'advance');
  end if;
  return s.name is not null;
end $$;
comment on function jobq.resume_schedule is 'A paused schedule goes on with its next tick; those of the pause are not made up. False if there is none.';

-- Ticks --------------------------------------------------------------------------------------------

-- The job of a tick. by_hand: a person asked, so it is no tick that may be skipped.
create function jobq.schedule_job(s jobq.schedule, tick timestamptz, followed boolean, by_hand boolean) returns bigint
language plpgsql as $$
declare
  o jobq.job_options := jobq.read_options(s.options);
  told record;
begin
  if not by_hand and s.jitter > '0' then               -- the same for each attempt to make it
    o.delay := coalesce(o.delay, '0')
      + s.jitter * (abs(hashtext(s.name || extract(epoch from tick)::bigint)::bigint) % 1000 / 1000.0);
  end if;
  told := jobq.put(s.kind, s.args, o);
  if told.happened = 'enqueued' then
    update jobq.ready r set meta = coalesce(r.meta, '{}') || jsonb_build_object('schedule', s.name,
        'tick', extract(epoch from tick)::float8, 'late', round(extract(epoch from now() - tick)::numeric, 3))
      where r.id = told.id;
    insert into jobq.schedule_run (job_id, schedule, tick, followed)
      values (told.id, s.name, schedule_job.tick, schedule_job.followed);
  end if;
  return told.id;
end $$;
comment on function jobq.schedule_job is 'Makes the job of a tick; its id.';

create function jobq.run_now(name text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  s jobq.schedule;
begin
  select x.* into s from jobq.schedule x where x.name = run_now.name;
  return case when s.name is not null then jobq.schedule_job(s, now(), true, true) end;
end $$;
comment on function jobq.run_now is 'Makes the job of a schedule now, whatever it says of overlap and also while it is paused; its id, null if there is no such schedule.';

-- What overlap makes of one tick: the job, or null where it is skipped.
create function jobq.schedule_tick(s jobq.schedule, tick timestamptz) returns bigint
language plpgsql as $$
declare
  others bigint[];
  made bigint;
begin
  if s.overlap <> 'allow' then
    select array_agg(r.job_id order by r.job_id) into others from jobq.schedule_run r where r.schedule = s.name;
  end if;
  if s.overlap = 'skip' and others is not null or s.overlap = 'queue_one' and cardinality(others) > 1 then
    return null;
  elsif s.overlap = 'cancel' then
    perform jobq.cancel(o, format('schedule %s has its next tick', s.name)) from unnest(others) o;
    select array_agg(r.job_id) into others from jobq.schedule_run r where r.schedule = s.name;
  end if;
  made := jobq.schedule_job(s, tick, s.overlap in ('queue_one', 'queue', 'cancel'), false);
  if made <> all (others) then                         -- null where there are none
    update jobq.schedule_run r set waits = jobq.park(made, 'schedule', s.name) where r.job_id = made;
  end if;
  return made;
end $$;
comment on function jobq.schedule_tick is 'Makes the job of a tick, parks it behind another of its schedule, or skips it (null).';

-- The last tick from the first one that is due until now; looks at a few dozen, however many there were.
create function jobq.last_due(c jobq.cron, s jobq.schedule) returns timestamptz
language plpgsql stable as $$
declare
  last timestamptz := s.next_tick;
  none_after timestamptz := now();
  middle timestamptz;
  tick timestamptz;
begin
  while none_after - last > interval '1 second' loop
    middle := last + (none_after - last) / 2;
    tick := jobq.tick_after(c, s.zone, middle, s.since);
    if tick <= now() then
      last := tick;
    else
      none_after := middle;
    end if;
  end loop;
  return last;
end $$;
comment on function jobq.last_due is 'The last tick of a schedule that is over.';

-- All that is due of one schedule, whose row the caller has locked. A tick is missed when it comes more than a minute
-- late: so long it may take until a worker looks when a notification was lost.
create function jobq.schedule_catch_up(s jobq.schedule) returns void
language plpgsql as $$
#variable_conflict use_variable
declare
  c jobq.cron := jobq.read_cron(s.expression);
  tick timestamptz := s.next_tick;
  oldest timestamptz := now() - case s.missed when 'skip' then '1 minute' else greatest(s.missed_window, '1 minute') end;
  job bigint;
  made int := 0;
begin
  if s.source is not null and not exists (
    select from jobq.worker w join jobq.kind k on k.id = any (w.kinds)
    where k.name = s.kind and w.seen_at > now() - interval '1 day')
  then
    delete from jobq.schedule x where x.name = s.name; -- its file is gone, and nobody was there to say so
    return;
  elsif s.missed <> 'all' then
    tick := jobq.last_due(c, s);
  elsif tick < oldest then
    tick := jobq.tick_after(c, s.zone, oldest, s.since);
  end if;
  while tick <= now() and made < 100 loop
    job := case when tick >= oldest then jobq.schedule_tick(s, tick) end;
    s.skipped := s.skipped + (job is null)::int;
    s.last_job := coalesce(job, s.last_job);
    s.last_tick := tick;
    made := made + 1;
    tick := jobq.tick_after(c, s.zone, tick, s.since);
  end loop;
  update jobq.schedule x set last_tick = s.last_tick, next_tick = tick, last_job = s.last_job, skipped = s.skipped,
      failed_at = null, problem = null
    where x.name = s.name and x.next_tick = s.next_tick;
  if not found then
    raise 'schedule % moved under our hands', s.name;
  end if;
end $$;
comment on function jobq.schedule_catch_up is 'Makes the jobs of the ticks of a schedule that are due, and moves it on.';

-- One that cannot (no right value any more, somebody holds what it needs) keeps nobody waiting: it is tried again.
create function jobq.schedule_due() returns void
language plpgsql as $$
declare
  s jobq.schedule;
  before text := current_setting('lock_timeout');
begin
  perform set_config('lock_timeout', '500ms', true);
  for s in
    select x.* from jobq.schedule x
    where x.paused_at is null and x.next_tick <= now()
      and (x.failed_at is null or x.failed_at < now() - interval '30 seconds')
    order by x.next_tick
    limit 1000
    for update skip locked
  loop
    begin
      perform jobq.schedule_catch_up(s);
    exception
      when others then
        update jobq.schedule x set failed_at = now(), problem = left(sqlerrm, 1000) where x.name = s.name;
    end;
  end loop;
  perform set_config('lock_timeout', before, true);
end $$;
comment on function jobq.schedule_due is 'Makes the jobs of all schedules whose tick has come.';

-- A job that waits for another of its schedule goes on when none is before it. Only here, one at a time: who ends and
-- who comes do not see each other.
create function jobq.schedule_release() returns void
language plpgsql as $$
declare
  id bigint;
begin
  for id in
    select distinct on (w.schedule) w.job_id
    from jobq.schedule_run w
    where w.waits and not exists (select from jobq.schedule_run r where r.schedule = w.schedule and not r.waits)
    order by w.schedule, w.tick, w.job_id
  loop
    if jobq.unpark(array[id]) > 0 then
      update jobq.schedule_run r set waits = false where r.job_id = id;
    end if;
  end loop;
end $$;
comment on function jobq.schedule_release is 'Lets the next job of each schedule go whose earlier ones have ended.';

create function jobq.advance_schedules() returns float8
language plpgsql as $$
begin
  if not exists (select from jobq.schedule) and not exists (select from jobq.schedule_run r where r.waits) then
    return null;
  end if;
  perform jobq.schedule_due();
  perform jobq.schedule_release();
  -- Those that are still due are locked, have more, or failed: soon again.
  return (
    select case when s.next_tick <= now() then 1 else extract(epoch from s.next_tick - clock_timestamp()) end
    from jobq.schedule s
    where s.paused_at is null and s.next_tick is not null
    order by s.next_tick
    limit 1);
end $$;
comment on function jobq.advance_schedules is 'Makes the jobs of schedules whose tick has come, and lets go those that waited; seconds until the next tick.';

-- The end of jobs that belong to schedules.
create function jobq.follow_schedules(moves jobq.move[]) returns void
language plpgsql as $$
declare
  followed boolean;
begin
  with ended as (
    delete from jobq.schedule_run r using unnest(moves) m
    where m.outcome in ('completed', 'failed', 'cancelled') and r.job_id = (m.job).id
    returning r.followed
  )
  select bool_or(e.followed) into followed from ended e;
  if followed then
    perform pg_notify('jobq_control', 'advance');
  end if;
end $$;
comment on function jobq.follow_schedules is 'What the end of jobs means for their schedules: the next one may go.';

create view jobq.schedule_status as
select s.name, s.kind, s.expression, s.zone, s.overlap, s.missed, s.missed_window, s.jitter, s.args, s.options, s.source,
  s.created_at, s.since, s.last_tick, case when s.paused_at is null then s.next_tick end as next_tick, s.last_job, s.skipped,
  (select count(*) from jobq.schedule_run r where r.schedule = s.name) as live, s.paused_at, s.paused_by, s.paused_reason,
  s.problem, s.failed_at
from jobq.schedule s;
comment on view jobq.schedule_status is 'Every schedule, when it ticked last and when it does next.';
comment on column jobq.schedule_status.name is 'Its name; that of its kind where a handler file has it.';
comment on column jobq.schedule_status.kind is 'The kind of its jobs.';
comment on column jobq.schedule_status.expression is 'The cron line.';
comment on column jobq.schedule_status.zone is 'The time zone that the line is read in.';
comment on column jobq.schedule_status.overlap is 'What a tick does while an earlier job has not ended: skip, queue_one, queue, allow or cancel.';
comment on column jobq.schedule_status.missed is 'What becomes of ticks that nobody was there for: one, skip or all.';
comment on column jobq.schedule_status.missed_window is 'How old such a tick may be.';
comment on column jobq.schedule_status.jitter is 'Each job waits a part of that.';
comment on column jobq.schedule_status.args is 'The arguments of its jobs.';
comment on column jobq.schedule_status.options is 'The options of its jobs, as jobq.enqueue_with takes them.';
comment on column jobq.schedule_status.source is 'File and line of the handler that has it; null: jobq.schedule() made it.';
comment on column jobq.schedule_status.created_at is 'When it was made.';
comment on column jobq.schedule_status.since is 'When its line or zone were changed last; @every counts from then.';
comment on column jobq.schedule_status.last_tick is 'Its last tick, also one that was skipped.';
comment on column jobq.schedule_status.next_tick is 'Its next one; null: it is paused, or there is none.';
comment on column jobq.schedule_status.last_job is 'The job of the last tick that made one.';
comment on column jobq.schedule_status.skipped is 'Ticks that made no job: an earlier one had not ended, or they were missed.';
comment on column jobq.schedule_status.live is 'Its jobs that have not ended.';
comment on column jobq.schedule_status.paused_at is 'Since when it is paused; null: it is not.';
comment on column jobq.schedule_status.paused_by is 'By whom.';
comment on column jobq.schedule_status.paused_reason is 'Why.';
comment on column jobq.schedule_status.problem is 'Why its last tick could not make a job; it is tried again.';
comment on column jobq.schedule_status.failed_at is 'When that was.';
