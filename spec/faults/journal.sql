-- journal - the harness's own tables beside the queue's: what producers asked for, and what triggers saw.
--
-- request is the applications' table. life, told and death are written by triggers in the transaction that they
-- tell of: life makes stories readable, death says when a worker was declared dead and since when it was silent.
create schema chaos;

create table chaos.request (
  id        text primary key,
  job_id    bigint not null,
  kind      text not null,
  priority  int,
  delay_s   float8,
  key       text,
  expires_s float8,
  at        timestamptz not null default now()
);

-- Four jobs that belong together; the first one is that of the request.
create function chaos.enqueue_batch(request text, args jsonb) returns bigint language plpgsql as $$
declare
  batch bigint := jobq.open_batch(request, on_failure => '"chaos.batch_ended"', on_complete => '"chaos.batch_ended"');
  id bigint := jobq.enqueue('chaos.quick', args, batch => batch);
begin
  perform jobq.enqueue('chaos.flaky', batch => batch);
  perform jobq.enqueue('chaos.sleep', '{"seconds": 1}', batch => batch);
  perform jobq.enqueue(case when id % 2 = 0 then 'chaos.broken' else 'chaos.backoff' end, batch => batch);
  perform jobq.close_batch(batch);
  return id;
end $$;

create table chaos.life (
  at        timestamptz not null default clock_timestamp(),
  job_id    bigint not null,
  worker_id bigint,
  what      text not null,
  xid       bigint not null default txid_current()
);

-- Who waits for the end of a job: every fifth request is waited for, in its transaction, so no end can be missed.
create table chaos.watched (
  job_id bigint not null
);

create table chaos.told (
  job_id bigint not null,
  xid    bigint not null default txid_current()
);

create table chaos.death (
  at        timestamptz not null default clock_timestamp(),
  worker_id bigint not null,
  name      text not null,
  seen_at   timestamptz not null
);

create function chaos.on_ready() returns trigger language plpgsql as $$
begin
  insert into chaos.life (job_id, what)
    select id, format('%s: attempts used %s, due in %s s, meta %s',
      case when run_at < 'infinity' then 'waits' else 'is parked' end, attempt,
      case when run_at < 'infinity' then round(extract(epoch from run_at - now())::numeric, 2) end,
      coalesce(meta::text, '-'))
    from added;
  return null;
end $$;
create trigger life after insert on jobq.ready referencing new table as added
  for each statement execute function chaos.on_ready();

create function chaos.on_unpark() returns trigger language plpgsql as $$
begin
  insert into chaos.life (job_id, what) values (new.id, 'waits: not parked any more');
  return null;
end $$;
create trigger unpark after update of run_at on jobq.ready
  for each row when (old.run_at = 'infinity' and new.run_at < 'infinity') execute function chaos.on_unpark();

create function chaos.on_request() returns trigger language plpgsql as $$
begin
  perform jobq.watch(new.job_id);
  insert into chaos.watched (job_id) values (new.job_id);
  return null;
end $$;
create trigger watch after insert on chaos.request
  for each row when (new.key is null and new.job_id % 5 = 0) execute function chaos.on_request();

create function chaos.on_told() returns trigger language plpgsql as $$
begin
  insert into chaos.told (job_id) values (old.job_id);
  return null;
end $$;
create trigger told after delete on jobq.waiter for each row execute function chaos.on_told();

create function chaos.on_lease() returns trigger language plpgsql as $$
begin
  insert into chaos.life (job_id, worker_id, what)
    select unnest(ids), worker_id, format('claimed as lease %s of %s jobs', seq, n) from added;
  return null;
end $$;
create trigger life after insert on jobq.lease referencing new table as added
  for each statement execute function chaos.on_lease();

create function chaos.on_finished() returns trigger language plpgsql as $$
begin
  insert into chaos.life (job_id, worker_id, what)
    select id, worker_id, format('%s with attempt %s', status, attempt) from added;
  return null;
end $$;
create trigger life after insert on jobq.finished referencing new table as added
  for each statement execute function chaos.on_finished();

create function chaos.on_death() returns trigger language plpgsql as $$
begin
  insert into chaos.death (worker_id, name, seen_at) values (new.id, new.name, new.seen_at);
  return null;
end $$;
create trigger death after update on jobq.worker
  for each row when (new.state = 'dead' and old.state <> 'dead') execute function chaos.on_death();
