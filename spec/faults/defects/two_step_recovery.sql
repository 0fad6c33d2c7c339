-- two_step_recovery: dead workers' leases are found, and then, in another statement, put back unasked.
create function chaos.put_back(worker bigint, seqs bigint[], slots smallint[]) returns void
language plpgsql as $$
begin
  insert into jobq.ready overriding system value
    select (g.jobs[p.slot]).*
    from unnest(seqs, slots) as p (seq, slot)
    join chaos.ghost g on g.worker_id = worker and g.seq = p.seq
    on conflict do nothing;
  delete from jobq.lease l where l.worker_id = worker and l.seq = any (seqs);
end $$;

select chaos.patch('recover', 'for update skip locked                           -- a settle', '-- a settle');
select chaos.patch('recover', 'perform jobq.settle(dead, seqs, slots, outcomes, null, delays, errors);',
  'perform pg_sleep(1); perform chaos.put_back(dead, seqs, slots);');
