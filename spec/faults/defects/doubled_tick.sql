-- doubled_tick: two schedulers go by what each has read, and neither looks again when it writes.
select chaos.patch('schedule_due', 'perform jobq.schedule_catch_up(s);',
  'perform jobq.schedule_catch_up(s); perform jobq.schedule_catch_up(s);');
select chaos.patch('schedule_catch_up', 'where x.name = s.name and x.next_tick = s.next_tick', 'where x.name = s.name');
