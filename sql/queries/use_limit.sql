-- use_limit: a job has cost more starts of a limit's key than its own. Only inserts a row.
--
-- $1 limit  $2 starts  $3 key, '' without
select from jobq.use_limit($1::text, $2::float8, $3::text)
