-- Times are microseconds since the epoch (UTC). Blobs are msgpack unless said otherwise.

CREATE TABLE environments (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused: contents are cached by it
    digest  BLOB NOT NULL UNIQUE,           -- SHA-256 of the content
    content BLOB NOT NULL,                  -- zlib
    uses    INTEGER NOT NULL                -- jobs that refer to it; deleted at 0
) STRICT;

CREATE TABLE jobs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused, also after a delete
    state            TEXT NOT NULL,
    reason           TEXT,
    priority         INTEGER NOT NULL,
    name             TEXT NOT NULL,
    user             TEXT NOT NULL,
    spec             BLOB NOT NULL,
    environment      INTEGER NOT NULL REFERENCES environments (id),
    attempt          INTEGER NOT NULL DEFAULT 0,
    stop             BLOB,                  -- an order to end it that is still being carried out
    progress         REAL,
    progress_message TEXT,
    submitted_at     INTEGER NOT NULL,
    queued_at        INTEGER NOT NULL,
    started_at       INTEGER,
    finished_at      INTEGER
) STRICT;

-- One small index for each way in which jobs are listed; a job is in exactly one of them.
CREATE INDEX jobs_running  ON jobs (started_at, id) WHERE state = 'running';
CREATE INDEX jobs_pending  ON jobs (priority DESC, id) WHERE state = 'pending';
CREATE INDEX jobs_finished ON jobs (finished_at DESC, id DESC) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_failed   ON jobs (state, id) WHERE state IN ('failed', 'stopped');

CREATE TABLE attempts (
    job         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    token       TEXT NOT NULL,              -- JOBD_RUN of its processes
    slot        INTEGER NOT NULL,
    host        TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    exit_code   INTEGER,
    signal      TEXT,                       -- its name without SIG
    pid         INTEGER,
    cpu_us      INTEGER,
    max_rss_kb  INTEGER,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    at    INTEGER NOT NULL,
    job   INTEGER,
    event TEXT NOT NULL,
    user  TEXT NOT NULL,
    data  BLOB                              -- JSON, null where there is nothing to say
) STRICT;
CREATE INDEX events_job ON events (job, seq);

-- What a changing request was answered, for the client that lost the answer and asks again.
CREATE TABLE requests (
    id    BLOB PRIMARY KEY,
    at    INTEGER NOT NULL,
    reply BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_at ON requests (at);

-- Ranges of jobs that a batch is still writing: nobody sees them before the batch is whole.
CREATE TABLE staged (
    first       INTEGER PRIMARY KEY,
    last        INTEGER NOT NULL,
    environment INTEGER NOT NULL            -- counted for all of the batch from its beginning
) STRICT;

-- Output whose job is deleted and whose files may still be there.
CREATE TABLE deletions (
    job      INTEGER PRIMARY KEY,
    attempts INTEGER NOT NULL
) STRICT;

-- Facts about the instance, such as the number of workers set by hand.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
