-- early_expiry: until when a job may begin is counted from now, whenever it is due.
select chaos.patch('expire_from', 'extract(epoch from due)', 'extract(epoch from now())');
