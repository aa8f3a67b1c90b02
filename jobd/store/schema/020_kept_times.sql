-- A job that fails with one that it waits for keeps its time, for when it comes back into the queue;
-- it becomes due only there.

DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (state, due, id) WHERE due IS NOT NULL;
