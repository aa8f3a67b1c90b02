-- Whatever is listed or chosen is found by an index in the order in which it is given.

DROP INDEX jobs_finished;
DROP INDEX jobs_failed;
CREATE INDEX jobs_ended ON jobs (state, finished_at, id) WHERE finished_at IS NOT NULL;
-- All jobs, and only for statements that say "id > 0" themselves: SQLite's planner would take it
-- for others, too, and then have to sort what it finds.
CREATE INDEX jobs_state ON jobs (state, id) WHERE id > 0;

CREATE INDEX events_started ON events (seq) WHERE event = 'started';   -- which one was the latest
