-- take_lock: the session's sign that the worker lives; the server drops it with the session.
--
-- $1 worker
-- Answers whether it is held now. False: a session before ours has not ended yet, or recovery is just looking.
select pg_catalog.pg_try_advisory_lock($1::bigint) as held
