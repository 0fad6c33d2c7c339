-- take_lock: the session's sign that the worker lives; the server drops it with the session.
--
-- $1 worker  $2 its name if it may be had by one only (see take_name), else null
-- Answers whether it is held now. False: a session before ours has not ended yet, or recovery is just looking. The name
-- is taken if nobody else has got it meanwhile: who has worked already does not stop for a name.
select pg_catalog.pg_try_advisory_lock($1::bigint) as held,
  pg_catalog.pg_try_advisory_lock(1785684593, pg_catalog.hashtext($2::text)) as named
