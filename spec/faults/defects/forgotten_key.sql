-- forgotten_key: a retry by hand does not ask for the job's unique key.
select chaos.patch('requeue', 'if key is not null then', 'if false then');
