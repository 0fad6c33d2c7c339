-- wake_lanes: tells sleepers of these lanes that jobs were put there. A statement of its own, after the one that did.
--
-- $1 lane[]
select jobq.wake_lanes($1::int[])
