-- limit_session: for how long statements of this session may run, and for how long it may idle in a transaction.
--
-- $1 $2 milliseconds as text; 0: no limit. The worker stops its runs itself; this is for when it is gone.
select set_config('statement_timeout', $1::text, false), set_config('idle_in_transaction_session_timeout', $2::text, false)
