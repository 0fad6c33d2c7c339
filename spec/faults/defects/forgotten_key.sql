-- forgotten_key: a retry by hand does not ask for the job's unique key.
select chaos.patch('retry', 'if f.meta ? ''unique'' then', 'if false then');
