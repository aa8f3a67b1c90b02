"""What retention asks of the store: how much output is kept, its removal, the history's old end.

The bytes live in a temporary table of the writer's connection, in memory, which triggers keep true
in the very transaction that changes a job. Where nobody asks for them there are no triggers.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from jobd.contract.states import FINISHED, State
from jobd.core.retention import Finished

_WATCH: Final = """
CREATE TEMP TABLE kept (state TEXT PRIMARY KEY, output INTEGER) WITHOUT ROWID;
CREATE TEMP TRIGGER kept_change AFTER UPDATE OF state, finished_at, output_bytes ON main.jobs
WHEN OLD.finished_at IS NOT NULL OR NEW.finished_at IS NOT NULL BEGIN
    UPDATE kept SET output = output - OLD.output_bytes
    WHERE state = OLD.state AND OLD.finished_at IS NOT NULL;
    UPDATE kept SET output = output + NEW.output_bytes
    WHERE state = NEW.state AND NEW.finished_at IS NOT NULL;
END;
CREATE TEMP TRIGGER kept_delete AFTER DELETE ON main.jobs WHEN OLD.finished_at IS NOT NULL BEGIN
    UPDATE kept SET output = output - OLD.output_bytes WHERE state = OLD.state;
END;
"""


class Retained:
    """Called by the writer's thread alone, inside its transaction; but for `watch`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def watch(self) -> None:
        """Begin to add up output; before the writer starts."""
        self._db.executescript(f"PRAGMA temp_store = MEMORY; {_WATCH}")
        self._db.executemany("INSERT INTO kept VALUES (?, 0)", [(s.value,) for s in FINISHED])
        self._db.execute(
            "UPDATE kept SET output = bytes FROM (SELECT state AS s, SUM(output_bytes) AS bytes"
            " FROM jobs INDEXED BY jobs_kept WHERE finished_at > 0 GROUP BY state) WHERE state = s"
        )

    def output(self) -> dict[State, int]:
        """Bytes of the finished jobs in each state. Only once it is watched."""
        rows = self._db.execute("SELECT state, output FROM kept").fetchall()
        return {State(state): output for state, output in rows}

    def still(self, job: Finished) -> bool:
        """Whether it is as it was found."""
        row = self._db.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND state = ? AND finished_at = ?",
            (job.id, job.state, job.finished_at),
        ).fetchone()
        return row is not None

    def last_event(self, job: int) -> int:
        """0: the history tells nothing of it any more."""
        row = self._db.execute(
            "SELECT IFNULL(MAX(seq), 0) FROM events WHERE job = ?", (job,)
        ).fetchone()
        return int(row[0])

    def forget_events(self, before: int) -> None:
        self._db.execute("DELETE FROM events WHERE seq < ?", (before,))

    def forget_past(self, before: int) -> None:
        """Of the attempts of removed jobs."""
        self._db.execute("DELETE FROM past WHERE seq < ?", (before,))

    def shrink(self, pages: int) -> None:
        """Give so many free pages back to the file system."""
        # The module takes one step of a statement without columns, and a step is a page.
        for _ in range(pages):
            self._db.execute("PRAGMA incremental_vacuum(1)")
