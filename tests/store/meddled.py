"""A store in which something happens just when somebody reads it."""

import contextlib

from jobd.store.database import open_writer
from jobd.store.reader import Reader

JOB = (
    "INSERT INTO jobs (state, reason, priority, name, user, spec, environment, submitted_at,"
    " queued_at, started_at, finished_at) VALUES ('running', NULL, 0, 'n', 'me', x'', 1, 1, 1, 1,"
    " NULL)"
)


class Meddled:
    """`reader` sees what is in the store; `commit` changes that, as the daemon's writer would."""

    def __init__(self, path):
        self._writer = open_writer(path, durable=False)
        self.reader = Reader(path)
        self._statements = 0
        self._at = self._act = None
        # It is used again and again, for nobody here reads at the same time.
        with self.reader._connections.one() as connection:
            connection.set_trace_callback(self._begins)

    def submit(self):
        """A job that runs."""
        return self._writer.execute(JOB).lastrowid

    def commit(self, state, job=1, event=None):
        finished = 5 if state in ("completed", "failed", "stopped") else None
        reason = {"failed": "exit code 3", "pending": "queued"}.get(state)
        with contextlib.closing(self._writer.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(
                "UPDATE jobs SET state = ?, reason = ?, finished_at = ? WHERE id = ?",
                (state, reason, finished, job),
            )
            if event is not None:
                cursor.execute(
                    "INSERT INTO events (at, job, event, user) VALUES (1, ?, ?, '')", (job, event)
                )
            cursor.execute("COMMIT")

    def meddle(self, at, act):
        """Call `act` right before the statement of this number (from 0 on) that a reader runs."""
        self._statements, self._at, self._act = 0, at, act

    @property
    def is_done(self):
        """Whether it has been called."""
        return self._act is None

    def _begins(self, sql):
        if sql.startswith(("BEGIN", "ROLLBACK")) or self._act is None:
            return
        self._statements += 1
        if self._statements > self._at:
            act, self._act = self._act, None
            act()

    def close(self):
        self.reader.close()
        self._writer.close()
