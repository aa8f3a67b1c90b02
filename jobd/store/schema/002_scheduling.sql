-- When, where and how often a job runs. All columns have defaults, so that no row is rewritten.

ALTER TABLE jobs ADD COLUMN group_name  TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN slots       INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN gpus        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN tags        TEXT;                        -- JSON array, null for none
ALTER TABLE jobs ADD COLUMN held        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN paused      INTEGER NOT NULL DEFAULT 0;  -- it runs, and is halted
ALTER TABLE jobs ADD COLUMN parents     INTEGER NOT NULL DEFAULT 0;  -- its rows in dependencies
ALTER TABLE jobs ADD COLUMN unmet       INTEGER NOT NULL DEFAULT 0;  -- those of them not met
ALTER TABLE jobs ADD COLUMN due         INTEGER;                     -- not before this time
ALTER TABLE jobs ADD COLUMN due_fixed   INTEGER NOT NULL DEFAULT 0;  -- 1: by the wall clock (--at)
ALTER TABLE jobs ADD COLUMN policy      BLOB;                        -- null: all as by default
ALTER TABLE jobs ADD COLUMN failures    INTEGER NOT NULL DEFAULT 0;  -- since submit or restart
ALTER TABLE jobs ADD COLUMN key         TEXT;
ALTER TABLE jobs ADD COLUMN array       INTEGER REFERENCES arrays (first);
ALTER TABLE jobs ADD COLUMN array_index INTEGER;
CREATE INDEX jobs_due ON jobs (due, id) WHERE due IS NOT NULL;
CREATE UNIQUE INDEX jobs_key ON jobs (key) WHERE key IS NOT NULL;

ALTER TABLE attempts ADD COLUMN gpus TEXT;                  -- indexes given to it, as in CUDA's list

-- What the elements of an array share; their own spec is empty.
CREATE TABLE arrays (
    first INTEGER PRIMARY KEY,              -- id of the first element
    last  INTEGER NOT NULL,
    spec  BLOB NOT NULL,
    uses  INTEGER NOT NULL                  -- elements that are left; deleted at 0
) STRICT;

CREATE TABLE groups (
    name    TEXT PRIMARY KEY,
    workers INTEGER,                        -- null: as many as there are
    paused  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE dependencies (
    child    INTEGER NOT NULL,
    parent   INTEGER NOT NULL,
    finished INTEGER NOT NULL,              -- 1: its end is enough (--after-any)
    met      INTEGER NOT NULL,
    PRIMARY KEY (child, parent)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_parent ON dependencies (parent, child) WHERE met = 0;

-- Parents whose change has still to be passed on to their dependants, from `behind` on.
CREATE TABLE settling (
    parent INTEGER PRIMARY KEY,
    behind INTEGER NOT NULL DEFAULT 0
) STRICT;
