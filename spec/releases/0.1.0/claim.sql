-- claim: takes jobs out of ready and packs them into leases. One statement, one snapshot.
--
-- $1 worker        $2 its next lease number        $3 how many        $4 jobs a lease at most
-- $5 lane[]  $6 priority[]  $7 run_at[]  $8 id[]   the levels in the order to try them, each with its cursor:
--                                          the last key taken there; ('-infinity', 0) sweeps from the start
-- $9 kinds that the worker can run
--
-- Answers a row a job: (seq, slot) is its place and its fencing token. Rows of one lease stand together; what should
-- run first is for the reader to sort.
--
-- The leases get the numbers $2, $2 + 1, ...; the worker goes on behind the last one it reads, and never goes back. When
-- a reply is lost it asks what the claim took (claimed) and goes on at $2 + $3, beyond any number that the claim can
-- have used. It does not send $2 again: should the first one land late, after a lease of the second with the same name
-- was settled, a repeated settle would end jobs that never ran.
--
-- Levels are tried lazily: a later one is read only when the earlier ones did not fill $3. Within a level the index
-- gives (run_at, id) order and stops at the first job that is not due, so scheduled jobs cost nothing. Lanes keep kinds
-- that a worker cannot run out of its way; the filter by kind is there for those that are not sorted yet.
--
-- Locks: SKIP LOCKED passes over rows that another claim, a cancel or a reschedule holds. A row that was moved to
-- another version meanwhile is locked but not found again by its ctid: it stays in ready for the next claim.
-- Safe without waiting for the disk: a claim that a crash forgets leaves its jobs in ready.
with asynchronous as materialized (
  select set_config('synchronous_commit', 'off', true) as setting
),
taken as (
  delete from jobq.ready
  where ctid = any (array(
    select job.ctid
    from asynchronous,
      unnest($5::int[], $6::smallint[], $7::timestamptz[], $8::bigint[]) as level (lane_id, priority, run_at, id)
    cross join lateral (
      select r.ctid
      from jobq.ready r
      where r.lane_id = level.lane_id and r.priority = level.priority
        and (r.run_at, r.id) > (level.run_at, level.id) and r.run_at <= now()
        and r.kind_id = any ($9::int[])
      order by r.run_at, r.id
      limit $3::int
      for update skip locked
    ) job
    limit $3::int))
  returning ready
),
-- A suspect, which was claimed when its worker died, gets a lease of its own (recover). The others share one until it
-- is full: of jobs, or of 4 MiB of arguments, because all of it is read again to settle a part. Both counts only grow,
-- so their sum is a new number whenever one of them is.
numbered as (
  select t.ready as job,
    case when (t.ready).meta ? 'suspect' then -(t.ready).id
      else (row_number() over so_far - 1) / $4::int + sum(octet_length((t.ready).args::text)) over so_far / 4194304
    end as pack
  from taken t
  window so_far as (rows unbounded preceding)
),
packed as materialized (
  select $2::bigint + row_number() over (order by pack) - 1 as seq, count(*) as n, array_agg((job).id) as ids,
    array_agg(job) as jobs, array_agg(job) filter (where (job).meta ->> 'unique_until' = 'start') as starting
  from numbered
  group by pack
),
stored as (
  insert into jobq.lease (worker_id, seq, n, ids, jobs)
  select $1::bigint, seq, n, ids, jobs from packed
)
select p.seq, j.slot::smallint as slot, j.id, j.kind_id, j.lane_id, j.priority, j.run_at, j.created_at, j.attempt,
  j.max_attempts, (j.meta ->> 'timeout')::float8 as timeout_s, j.args::text as args, j.meta::text as meta,
  j.id in (select job_id from jobq.cancel_request) as cancelled,
  extract(epoch from to_timestamp((j.meta ->> 'expires')::float8) - now())::float8 as expires_s
from packed p,
  unnest(p.jobs) with ordinality
    as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
-- Once, before the first row: jobs that hold their unique key until they start.
where (select count(jobq.start_keys(s.starting)) from packed s where s.starting is not null) >= 0
