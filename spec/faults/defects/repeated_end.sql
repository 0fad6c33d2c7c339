-- repeated_end: a batch has ended whenever its counts say so, however often.
select chaos.patch('fold_batch', 'b.closed_at is not null and b.ended_at is null and b.total',
  'b.closed_at is not null and b.total');
