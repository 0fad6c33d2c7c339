-- hold_limit: no job of a limit's key is to start for some seconds. Only inserts a row.
--
-- $1 limit  $2 seconds  $3 key, '' without
select from jobq.hold_limit($1::text, $2::float8, $3::text)
