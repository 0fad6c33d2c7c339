-- tend: what upkeep does every hour: days that come and go, old jobs, the lanes of stragglers.
--
-- Answers how many jobs were moved to another lane and how many days were dropped. Waits for nobody longer than a
-- moment; cleanup comes last, because it holds locks that settling needs until the end of the transaction.
select jobq.sort_lanes() as moved, jobq.cleanup() as dropped
