-- take_name: a name that somebody gave is for one living worker. The server drops the lock with the session.
--
-- $1 name
-- Answers whether it is held now, and where the worker runs that is known by it ("host, pid 42"), or null.
--
-- The first key is "jobq" in ASCII; worker ids lock with one key, which is another space.
select pg_catalog.pg_try_advisory_lock(1785684593, pg_catalog.hashtext($1::text)) as held,
  (select w.host || ', pid ' || w.pid from jobq.worker w
   where w.name = $1::text and w.state = 'running' order by w.seen_at desc limit 1) as holder
