-- reconcile: gives back the jobs of leases that the worker does not know.
--
-- $1 worker  $2 seq[] of all leases that it holds or is settling  $3 the first number of the claim in flight, or the next
-- Answers how many jobs went back. Leases that are being settled are passed over.
select jobq.reconcile($1::bigint, $2::bigint[], $3::bigint) as returned
