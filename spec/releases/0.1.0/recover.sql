-- recover: declares workers dead and puts back their jobs.
--
-- $1 a worker is dead after so many ms of silence
-- $2 workers whose lock the caller itself has seen held and then free for long enough
-- Answers (worker_id, jobs). Workers and leases that somebody else has locked are passed over.
select r.worker_id, r.jobs from jobq.recover($1::bigint * interval '1 millisecond', $2::bigint[]) r
