-- unheard_snooze: the new time of a waiting job is not written.
select chaos.patch('edit_many', 'case when timed and w.run_at < ''infinity'' then l.due else w.run_at end', 'w.run_at');
