-- In which order pending jobs would start: those that only wait for their turn, by priority; those that
-- wait for others; those that wait for a time, by it; those that are held. A priority is at most 10^9, a
-- time at least 10^15.

ALTER TABLE jobs ADD COLUMN turn INTEGER GENERATED ALWAYS AS (
    CASE reason
        WHEN 'dependency' THEN 1000000000000 - priority
        WHEN 'delayed' THEN due
        WHEN 'retry backoff' THEN due
        WHEN 'held' THEN 1000000000000000000 - priority
        ELSE -priority
    END
) VIRTUAL;
DROP INDEX jobs_pending;
CREATE INDEX jobs_pending ON jobs (turn, id) WHERE state = 'pending';
