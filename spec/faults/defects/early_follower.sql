-- early_follower: the new job that has to wait for the holder of its key is not parked.
select chaos.patch('put', 'case when follows then ''infinity'' else due end', 'due');
select chaos.patch('put', 'if follows then', 'if false then');
