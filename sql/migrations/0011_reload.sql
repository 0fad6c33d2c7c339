-- min_worker: 0.1.0
-- reload, stop - wishes of people that workers hear on their control channel. A worker obeys only its own id.

create function jobq.reload(worker bigint default null) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('jobq_control', 'reload' || coalesce(' ' || worker, ''));
  return (select count(*) from jobq.worker w where w.state = 'running' and w.id = coalesce(reload.worker, w.id));
end $$;
comment on function jobq.reload is 'Has one living worker, or all, load their handlers again; returns how many that are.';

create function jobq.stop_worker(worker bigint, grace interval default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if grace < '0' or grace > '1 day' then
    raise 'grace % is out of range, expected 0 to 1 day', grace using errcode = 'invalid_parameter_value';
  end if;
  perform pg_notify('jobq_control',
    'stop ' || worker || coalesce(' ' || (extract(epoch from grace) * 1000)::bigint, ''));
  return exists (select from jobq.worker w where w.id = stop_worker.worker and w.state = 'running');
end $$;
comment on function jobq.stop_worker is 'Asks a worker to end in order; running jobs have the grace, or the worker''s own. False: it does not run.';
