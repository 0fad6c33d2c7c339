-- close_batch: a batch has all its members; whether it was open until now.
--
-- $1 batch
select jobq.close_batch($1::bigint) as closed
