-- Jobs that one request submitted, each with a command of its own: listed as one until asked. Elements of
-- an array are in `arrays`.

CREATE TABLE batches (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;
