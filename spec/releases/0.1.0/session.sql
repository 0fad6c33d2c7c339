-- session: what an engine session sets for itself, right after it has connected.
--
-- A queue's statistics are always stale, so plans must not depend on them. Nothing here waits for
-- long: locks of the protocol are held for milliseconds. The server notices a vanished worker by
-- keepalives; else the worker's advisory lock would outlive it for hours. (They do nothing on a Unix
-- socket.)
--
-- Answers first whether the server is a standby, where no worker can work.
select pg_is_in_recovery() as standby,
  set_config('enable_seqscan', 'off', false),
  set_config('enable_bitmapscan', 'off', false),
  set_config('jit', 'off', false),
  set_config('plan_cache_mode', 'force_generic_plan', false),
  set_config('default_transaction_isolation', 'read committed', false), -- the protocol is right in no other
  set_config('search_path', 'pg_catalog, pg_temp', false),
  set_config('lock_timeout', '10s', false),
  set_config('statement_timeout', '50s', false),
  set_config('idle_in_transaction_session_timeout', '30s', false),
  set_config('tcp_keepalives_idle', '5', false),
  set_config('tcp_keepalives_interval', '2', false),
  set_config('tcp_keepalives_count', '4', false),
  set_config('synchronous_commit',
    case current_setting('synchronous_commit') when 'off' then 'on' else current_setting('synchronous_commit') end, false)
