-- ghost - for defects: a copy of every lease, as an engine without leases would still have the jobs at hand.
create table chaos.ghost (worker_id bigint, seq bigint, jobs jobq.ready[], primary key (worker_id, seq));

create function chaos.keep_ghost() returns trigger language plpgsql as $$
begin
  insert into chaos.ghost select worker_id, seq, jobs from added on conflict do nothing;
  return null;
end $$;
create trigger ghost after insert on jobq.lease referencing new table as added
  for each statement execute function chaos.keep_ghost();
