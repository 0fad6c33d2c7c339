-- may_sleep: whether every transaction that may have missed the sleeper rows is over. Third step (fall_asleep).
--
-- $1 what mark answered
select pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8 as may_sleep
