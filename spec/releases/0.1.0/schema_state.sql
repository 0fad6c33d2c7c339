-- schema_state: what this program must fit: the number of the last migration, the oldest worker that may run; and the
-- server's clock.
select s.version, s.min_worker, clock_timestamp() as now from jobq.schema_state() s
