-- How much output a job has, over all its attempts, and which finished jobs are the oldest.

ALTER TABLE jobs ADD COLUMN output_bytes INTEGER NOT NULL DEFAULT 0;

-- Its condition is nobody else's, so that no other query is tempted to use it.
CREATE INDEX jobs_kept ON jobs (state, finished_at, output_bytes) WHERE finished_at > 0;
