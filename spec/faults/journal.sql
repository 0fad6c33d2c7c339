-- journal - the harness's own tables beside the queue's: what producers asked for, and what triggers saw.
--
-- request is the applications' table. life and death are written by triggers in the transaction that they
-- tell of: life makes stories readable, death says when a worker was declared dead and since when it was silent.
create schema chaos;

create table chaos.request (
  id       text primary key,
  job_id   bigint not null,
  kind     text not null,
  priority int,
  delay_s  float8,
  key      text,
  at       timestamptz not null default now()
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
  what      text not null
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
    select id, format('waits: attempts used %s, due in %s s, meta %s', attempt,
      round(extract(epoch from run_at - now())::numeric, 2), coalesce(meta::text, '-'))
    from added;
  return null;
end $$;
create trigger life after insert on jobq.ready referencing new table as added
  for each statement execute function chaos.on_ready();

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
