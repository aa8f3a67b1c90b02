"""The event log: what has happened to jobs and to the daemon, in order."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from jobd.contract.states import EventName, State


class EventLog:
    """The table `events`, as it is written; who follows it reads it by `reader`.

    Called by the writer's thread alone, inside its transaction. Promises that the last event of a
    transaction is known, so that whoever waits for events is woken after its commit.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._last: int | None = None

    def add(
        self, job: int | None, event: EventName, user: str, now: int, data: bytes | None = None
    ) -> None:
        """`data` is JSON."""
        self._last = self._db.execute(
            "INSERT INTO events (at, job, event, user, data) VALUES (?, ?, ?, ?, ?)",
            (now, job, event, user, data),
        ).lastrowid

    def submitted(self, first: int, count: int, user: str, now: int) -> None:
        self._db.executemany(
            f"INSERT INTO events (at, job, event, user) VALUES (?, ?, '{EventName.SUBMITTED}', ?)",
            [(now, first + number, user) for number in range(count)],
        )
        self._note_last()

    def submitted_as_one(self, first: int, user: str, now: int, said: Mapping[str, int]) -> None:
        """One event, with the number of the first, for many jobs; `said`: which they are."""
        self.add(first, EventName.SUBMITTED, user, now, msgspec.json.encode(said))

    def failed_at_once(self, first: int, last: int, now: int) -> None:
        """Of those of these new jobs that have failed, and of which that is not told yet."""
        self._db.execute(
            "INSERT INTO events (at, job, event, user, data)"
            f" SELECT ?, id, '{EventName.FAILED}', '', CAST(json_object('reason', reason) AS BLOB)"
            f" FROM jobs AS j WHERE id BETWEEN ? AND ? AND state = '{State.FAILED}'"
            " AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.job = j.id"
            f" AND e.event = '{EventName.FAILED}') ORDER BY id",
            (now, first, last),
        )
        self._note_last()

    def stopped(self, jobs: Sequence[int], reason: str, user: str, now: int) -> None:
        """Of many at once, in one statement however many they are."""
        self._db.execute(
            "INSERT INTO events (at, job, event, user, data)"
            f" SELECT ?, value, '{EventName.STOPPED}', ?, ? FROM json_each(?)",
            (
                now, user, msgspec.json.encode({"reason": reason}),
                msgspec.json.encode(jobs).decode(),
            ),
        )  # fmt: skip
        self._note_last()

    def _note_last(self) -> None:
        (self._last,) = self._db.execute("SELECT last_insert_rowid()").fetchone()

    def take_last(self) -> int | None:
        """The number of the last event written since the last call."""
        last, self._last = self._last, None
        return last

    @contextlib.contextmanager
    def taken_back(self) -> Iterator[None]:
        """What is written in here will be taken back: nobody is told of it."""
        last = self._last
        try:
            yield
        finally:
            self._last = last

    def recall_last(self) -> None:
        """After a rollback: what was noted may be gone, and what others wrote is not yet told."""
        with contextlib.suppress(sqlite3.Error):
            (self._last,) = self._db.execute("SELECT MAX(seq) FROM events").fetchone()

    def last_at(self) -> int | None:
        """When the last thing happened, microseconds since the epoch; None: nothing has."""
        row = self._db.execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def last_seq(self) -> int:
        """The number of the last event; 0: there has been none."""
        row = self._db.execute("SELECT IFNULL(MAX(seq), 0) FROM events").fetchone()
        return int(row[0])

    def came_back(self, job: int, since: int) -> bool:
        """Whether it pended again by itself after this event, with a job that it waits for."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM events WHERE job = ? AND seq > ?"
            f" AND event = '{EventName.RESTARTED}' AND user = '')",
            (job, since),
        ).fetchone()
        return bool(row[0])
