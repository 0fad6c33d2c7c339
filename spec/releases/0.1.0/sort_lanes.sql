-- sort_lanes: decides which kinds stand apart and moves their waiting jobs, some at a time.
--
-- Answers how many were moved; to be repeated until 0. One sorter at a time; rows that others hold are passed over.
select jobq.sort_lanes() as moved
