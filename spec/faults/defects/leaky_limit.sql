-- leaky_limit: a slot counts only until its job is claimed.
select chaos.patch('fill_slots', 'from jobq.limit_slot h where h.limit_id = s.limit_id and h.key = s.key)',
  'from jobq.limit_slot h join jobq.ready r on r.id = h.job_id where h.limit_id = s.limit_id and h.key = s.key)');
