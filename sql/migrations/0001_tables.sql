-- min_worker: 0.1.0
-- tables - every table, and why it has the shape it has.
--
--   ready  --claim-->  lease  --settle-->  finished        a job is in exactly one of the three
--     ^                  |                    |
--     +--- retry, snooze, return, recovery ---+--- retry by hand
--
-- Column order: 8-byte, 4-byte, 2-byte, then variable width, so that no row carries padding.
-- Runs on PostgreSQL 13 to 18. Migrations run with search_path = pg_catalog, so names are qualified.

create schema jobq;
comment on schema jobq is 'Background jobs: enqueue with jobq.enqueue, look with jobq.job.';

-- Written by the program that applies migrations, a row after each file.
create table jobq.migration (
  number     int primary key,
  name       text not null,
  min_worker text,                                     -- the oldest worker that may run from here on; null: as before
  applied_at timestamptz not null default now()
);
comment on table jobq.migration is 'The migrations that this database has, and when each came.';

-- How a job can end. Views and functions say text, so that it compares with whatever a driver sends.
create type jobq.ending as enum ('completed', 'failed', 'cancelled');
comment on type jobq.ending is 'How a job has ended; the views say it as text.';

-- Names, interned -----------------------------------------------------------------------------------

create table jobq.queue (
  id   int generated always as identity primary key,
  name text not null unique constraint queue_name_length check (length(name) between 1 and 100)
);
comment on table jobq.queue is 'The names of queues, as numbers.';

-- What workers publish when they load handlers. An enqueue creates the kinds that nobody has declared yet; all that
-- only a handler can say is null until then.
create table jobq.kind (
  id            int generated always as identity primary key,
  queue_id      int not null references jobq.queue,    -- where its jobs go unless enqueue says otherwise
  lane_id       int,                                   -- the lane for that; null: look it up (route, sort_lanes)
  max_attempts  smallint constraint kind_max_attempts check (max_attempts between 1 and 1000),
  priority      smallint constraint kind_priority check (priority between 0 and 9),
  apart         boolean not null default false,        -- waits in a lane of its own, see jobq.lane
  unsorted      boolean not null default false,        -- shared lanes may still hold jobs of it that belong elsewhere
  unsorted_mark xid8,                                  -- all that enqueued by the old rule had an older transaction
  timeout_s     float8 constraint kind_timeout check (timeout_s > 0),
  declared_at   timestamptz,                           -- null: by no worker yet
  name          text not null unique constraint kind_name_length check (length(name) between 1 and 100),
  summary       text,
  schema        json,                                  -- JSON Schema of the arguments
  source        text,                                  -- file:line
  generation    text                                   -- of the handlers folder that declared it last
);
comment on table jobq.kind is 'What workers say of the kinds that they run, and the names of kinds that nobody has declared yet.';

-- A lane is one ordered line of waiting jobs. All kinds of a queue share one (kind_id = 0), so that order holds
-- across them. A kind that some worker of the queue cannot run stands apart: otherwise every claim of that worker
-- would step over its backlog. Lanes are never deleted; finished jobs refer to them.
-- follows_kind: jobs whose kind nobody had declared, and that named no queue. Its queue is the kind's, once known.
create table jobq.lane (
  id           int generated always as identity primary key,
  queue_id     int not null references jobq.queue,
  kind_id      int not null default 0,
  follows_kind boolean not null default false check (not follows_kind or kind_id <> 0)
);
comment on table jobq.lane is 'The lines that jobs wait in: a queue''s shared one, or one of a kind''s own.';
create unique index lane_place on jobq.lane (queue_id, kind_id) where not follows_kind;
create unique index lane_follower on jobq.lane (kind_id) where follows_kind;

-- Place 1: waiting ----------------------------------------------------------------------------------

create table jobq.ready (
  id           bigint generated always as identity,
  run_at       timestamptz not null default now(),
  created_at   timestamptz not null default now(),
  lane_id      int not null,                           -- no foreign keys here: one lookup a row would cost 20 %
  kind_id      int not null,
  priority     smallint not null default 5 check (priority between 0 and 9),  -- lower runs sooner
  attempt      smallint not null default 0,            -- runs that already counted
  max_attempts smallint check (max_attempts > 0),      -- null: as its kind says when that is known
  args         json not null default '{}',
  meta         jsonb                                   -- null for a plain job; written by jobq only:
                                                       -- unique, tags, timeout, snoozes, crashes, suspect,
                                                       -- expires, expires_in, schedule, tick, late, unique_until,
                                                       -- limited, limit_key, cost
) with (
  fillfactor = 100,                                    -- rows are deleted, not updated
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 50000,
  vacuum_index_cleanup = on,                           -- dead index entries are what a claim trips over
  vacuum_truncate = off,                               -- truncation takes an exclusive lock: claims would stall
  toast.vacuum_truncate = off
);
comment on table jobq.ready is 'The first of three places: jobs that wait, also for their time.';
create unique index ready_id on jobq.ready (id);
create index ready_order on jobq.ready (lane_id, priority, run_at, id);
alter table jobq.ready alter args set statistics 0, alter meta set statistics 0;

-- Jobs that wait for more than their time: a limit, an event, the end of another. Their row in ready has run_at
-- 'infinity', so that no claim steps over them; when they were due, or will be, stands here. Whoever locks both rows
-- locks this one first.
create table jobq.parked (
  job_id   bigint primary key,
  due      timestamptz not null default now(),
  since    timestamptz not null default now(),
  priority smallint not null,
  why      text not null,                              -- what for: a word that jobq.why_parked knows
  key      text not null default ''                    -- for which of those
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
comment on table jobq.parked is 'Waiting jobs that no worker may claim yet, and what they wait for.';
create index parked_order on jobq.parked (why, key, priority, due, job_id);

-- Place 2: claimed ----------------------------------------------------------------------------------

-- A claim moves rows of ready into leases, packed. Settling only appends to done; jobs stay where they are, out of
-- line (EXTERNAL: not compressed, not rewritten). The key is the fencing token: who finds it gone has lost the jobs.
-- The worker makes it, from its durable id and its own counter. A sequence would not do: claims do not wait for the
-- disk, and after a crash it hands out the same numbers again; a late settle would then end somebody else's jobs.
create table jobq.lease (
  seq        bigint not null,
  claimed_at timestamptz not null default now(),
  worker_id  bigint not null,
  n          smallint not null check (n between 1 and 1000),
  done       smallint[] not null default '{}',         -- slots of jobs that are settled, from 1
  ids        bigint[] not null,                        -- of the jobs, by slot: one is found without unpacking all
  jobs       jobq.ready[] not null,
  primary key (worker_id, seq)                         -- serves settle, recovery and reconciliation
) with (
  fillfactor = 70,                                     -- room for HOT updates of done
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000,
  toast.autovacuum_vacuum_cost_delay = 0,
  vacuum_index_cleanup = on, vacuum_truncate = off, toast.vacuum_truncate = off
);
comment on table jobq.lease is 'The second of three places: jobs that a worker has claimed, up to 64 in a row.';
alter table jobq.lease alter jobs set storage external, alter jobs set statistics 0, alter done set statistics 0,
  alter ids set statistics 0;

-- How far running jobs are, as their handlers told last. Beside the lease and under its name: settling has nothing to
-- do with it, and what is left of a lease that is gone shows nowhere until cleanup sweeps it.
create table jobq.progress (
  worker_id bigint not null,
  seq       bigint not null,
  at        timestamptz not null default now(),
  fraction  float8 not null check (fraction between 0 and 1),
  slot      smallint not null,
  message   text,
  primary key (worker_id, seq, slot)
) with (
  fillfactor = 50,                                     -- room for HOT updates: a second, a row
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
comment on table jobq.progress is 'How far running jobs are; the view jobq.job shows it.';

-- Place 3: history ----------------------------------------------------------------------------------

-- By status first: completed jobs are many and soon dull, they go by the day (cleanup). Failed and cancelled ones
-- are few and people come back to them: kept longer, a table each, so that a list of either reads the index on id.
create table jobq.finished (
  id           bigint not null,
  created_at   timestamptz not null,
  run_at       timestamptz not null,
  started_at   timestamptz not null,
  finished_at  timestamptz not null,
  lane_id      int not null,
  kind_id      int not null,
  worker_id    bigint,                                 -- null: cancelled while it waited
  status       jobq.ending not null,
  priority     smallint not null,
  attempt      smallint not null,
  max_attempts smallint,
  args         json not null,
  meta         jsonb,
  error        text,
  result       json
) partition by list (status);
comment on table jobq.finished is 'The third of three places: jobs that have ended, by status and by the day.';
create index finished_id on jobq.finished (id);        -- nearly ascending: the cheapest index there is
create table jobq.finished_completed partition of jobq.finished for values in ('completed')
  partition by range (finished_at);
create table jobq.finished_completed_default partition of jobq.finished_completed default;  -- settling never fails for want of a day
create table jobq.finished_failed partition of jobq.finished for values in ('failed');
create table jobq.finished_cancelled partition of jobq.finished for values in ('cancelled');
create index finished_failed_age on jobq.finished_failed (finished_at);
create index finished_cancelled_age on jobq.finished_cancelled (finished_at);

-- Attempts that did not end the job: its error trail. Only failures pay for it, and ready stays slim.
create table jobq.attempt (
  job_id      bigint not null,
  started_at  timestamptz not null,
  finished_at timestamptz not null,
  kind_id     int not null,
  worker_id   bigint,
  attempt     smallint not null,
  outcome     text not null,                           -- retry, crash; failed or cancelled before a retry by hand
  error       text
) partition by range (finished_at);
comment on table jobq.attempt is 'Runs that did not end their job, with their errors.';
create index attempt_job on jobq.attempt (job_id, attempt);
create table jobq.attempt_default partition of jobq.attempt default;

create table jobq.job_log (
  job_id  bigint not null,
  at      timestamptz not null default now(),
  attempt smallint not null,
  level   smallint not null check (level between 0 and 3),   -- debug, info, warn, error
  message text not null,
  fields  jsonb
) partition by range (at);
comment on table jobq.job_log is 'What jobs wrote to their logs; the view jobq.log shows it.';
create index job_log_job on jobq.job_log (job_id, at);
create table jobq.job_log_default partition of jobq.job_log default;

-- Workers and signs between sessions ----------------------------------------------------------------

create table jobq.worker (
  -- 63 random bits: a counter could give a number out again after a failover to a standby that had not heard of it,
  -- and the id is half of every lease's name. Also the key of the advisory lock of the worker. These digits of a
  -- version 4 UUID are all random.
  id          bigint primary key default
    ('x' || left(gen_random_uuid()::text, 8) || substr(gen_random_uuid()::text, 10, 4) || right(gen_random_uuid()::text, 4)
    )::bit(64)::bigint & 9223372036854775807,
  pid         int not null,
  started_at  timestamptz not null default now(),
  seen_at     timestamptz not null default now(),
  processed   bigint not null default 0,
  succeeded   bigint not null default 0,
  failed      bigint not null default 0,
  rss_kb      bigint not null default 0,
  running     int not null default 0,
  concurrency int not null,
  state       text not null default 'running' check (state in ('running', 'stopped', 'dead')),
  host        text not null,
  name        text not null,
  version     text not null,
  queues      text[],                                  -- null: all
  kinds       int[] not null default '{}',
  generation  text,
  socket      text,                                    -- path of its private socket on its host
  limits      text,                                    -- a digest of those that its handlers declared last
  load_error  text,                                    -- why its handlers folder as it is now does not load
  loaded_at   timestamptz not null default now()       -- when it last tried to load that folder
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.worker is 'The workers, with what they said of themselves last; the view jobq.worker_status shows it.';

-- Taken while its job holds it or the period lasts; a row that is neither is as good as none. What ends the holding and
-- what a turn is for: see unique.
create table jobq.unique_key (
  job_id  bigint not null,
  until   timestamptz,                                 -- the end of the period; null: there is none
  kind_id int not null,
  turn    smallint not null default 0 check (turn in (0, 1)),   -- 1: parked until the job of turn 0 has ended
  held    boolean not null default true,               -- by its job; false: only the period counts
  key     text not null,
  primary key (kind_id, key, turn)
);
comment on table jobq.unique_key is 'Which job holds which unique key, and which follows it.';

-- Who sleeps on which lane: enqueue notifies only if somebody does.
create table jobq.sleeper (
  lane_id   int not null,
  worker_id bigint not null,
  primary key (lane_id, worker_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.sleeper is 'The workers that sleep on a lane and want to be woken.';

-- Wishes that running jobs be cancelled. Read by claim, settle, recovery and heartbeat; nearly always empty.
create table jobq.cancel_request (
  job_id       bigint primary key,
  requested_at timestamptz not null default now(),
  reason       text,                                   -- becomes the error of the cancelled job
  author       text                                    -- who asked
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.cancel_request is 'Wishes that running jobs be cancelled, until their workers have heard them.';

-- Whose end is waited for: who settles it notifies only if there is a row. One a job, however many wait.
create table jobq.waiter (
  job_id bigint primary key,
  since  timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.waiter is 'Jobs whose end somebody waits for, and wants to be told of.';

-- What the schema says of itself ---------------------------------------------------------------------

-- Versions compare part by part: 0.10.0 is later than 0.9.0.
create function jobq.min_worker() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select m.min_worker from jobq.migration m
  where m.min_worker is not null
  order by string_to_array(m.min_worker, '.')::int[] desc
  limit 1
$$;
comment on function jobq.min_worker is 'The oldest version of a worker that may run on this schema.';

create function jobq.schema_state(out version int, out min_worker text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select max(m.number) from jobq.migration m), jobq.min_worker()
$$;
comment on function jobq.schema_state is 'The number of the last migration, and the oldest worker that may run on it.';
