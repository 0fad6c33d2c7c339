-- flow - a limit and a schedule, for runs in which everything happens.
select jobq.set_limit('chaos', kind => 'chaos.limited', concurrency => 3);
select jobq.schedule('chaos', '@every 1s', 'chaos.tick', overlap => 'allow', missed => 'all');
