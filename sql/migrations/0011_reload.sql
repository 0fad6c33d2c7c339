-- min_worker: 0.1.0
-- reload - a wish of people: workers read their handlers folder again.

create function jobq.reload() returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('jobq_control', 'reload');
  return (select count(*) from jobq.worker w where w.state = 'running');
end $$;
comment on function jobq.reload is 'Has all living workers load their handlers again; returns how many there are.';
