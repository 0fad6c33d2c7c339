-- mark: a transaction id above all that are in use. Second step of sleeping (fall_asleep).
--
-- No cheaper mark will do. The sleeper row's own id: an enqueue with a later one may have looked before the row was
-- visible. A snapshot's xmax: that is the latest completed id + 1, so ids handed out but still open lie at or beyond it
-- unseen. The id costs no disk wait: nothing is written with it.
select pg_current_xact_id()::text as mark
