-- schema_state: what this program must fit: the number of the last migration, the oldest worker that may run.
select s.version, s.min_worker from jobq.schema_state() s
