-- result: how a job does: for handlers that wait for another job.
--
-- $1 id
-- All null: there is no such job.
select r.status, r.result::text as result, r.error from jobq.result($1::bigint) r
