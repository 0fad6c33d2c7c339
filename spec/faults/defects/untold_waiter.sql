-- untold_waiter: a cancelled job is no end that anybody waits for.
select chaos.patch('tell_waiters', ', ''cancelled''', '');
