-- Messages about jobs: who wants to be told, and what is on its way.

-- What its submitter wants to be told; null: nothing.
ALTER TABLE jobs ADD COLUMN notify BLOB;
CREATE INDEX jobs_notify ON jobs (id) WHERE notify IS NOT NULL;

-- Of which jobs somebody is told once all of them have ended; msgpack.
CREATE TABLE gatherings (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    gathering   BLOB NOT NULL,
    environment INTEGER NOT NULL REFERENCES environments (id)
) STRICT;

-- One message to one destination. How far the history has been read for them is in `settings`.
CREATE TABLE deliveries (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    token    TEXT NOT NULL,                 -- by which its receiver knows it again
    place    BLOB NOT NULL,                 -- digest of who is told where: one at a time, and gathered
    target   BLOB NOT NULL,                 -- msgpack: where it goes, and how often that is tried
    message  BLOB NOT NULL,                 -- msgpack
    environment INTEGER REFERENCES environments (id),   -- in which it goes out; null: it is over, or the daemon's
    gathered INTEGER NOT NULL,              -- 1: others may still be added to it, until it is due
    made_at  INTEGER NOT NULL,
    state    TEXT NOT NULL,                 -- waiting, sending, delivered, given up
    due      INTEGER,                       -- not tried before; null: it is over
    tries    INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER,
    error    TEXT                           -- why the last try failed
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_place ON deliveries (place, made_at);
CREATE INDEX deliveries_over ON deliveries (id) WHERE due IS NULL;
CREATE INDEX deliveries_failed ON deliveries (id) WHERE error IS NOT NULL;
