-- burnt_attempt: a job that is given back without having run has used an attempt.
select chaos.patch('settle', '(''completed'', ''failed'', ''retry'', ''crash'') then 1',
  '(''completed'', ''failed'', ''retry'', ''crash'', ''return'', ''suspect'') then 1');
