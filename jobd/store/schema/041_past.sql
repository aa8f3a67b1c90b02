-- What is left of an attempt when its job is removed: enough to count it.

-- When it began to wait; in its job that is overwritten by the next one. Null before this step.
ALTER TABLE attempts ADD COLUMN queued_at INTEGER;

CREATE TABLE past (
    seq         INTEGER PRIMARY KEY,        -- in the order of removal: the lowest ones go first
    job         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    user        TEXT NOT NULL,
    group_name  TEXT NOT NULL,
    slots       INTEGER NOT NULL,
    slot        INTEGER NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    queued_at   INTEGER,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    exit_code   INTEGER,
    signal      TEXT,
    cpu_us      INTEGER,
    max_rss_kb  INTEGER
) STRICT;
-- The order of `attempts`: an attempt that goes from there to here keeps its place.
CREATE INDEX past_attempt ON past (job, attempt);
