"""What is no job: settings, groups, and the requests that were answered."""

from __future__ import annotations

import sqlite3
from typing import Final

REMEMBER_REQUESTS: Final = 65_536
"""How many answered requests are remembered; by number, since a clock can be set.

A client asks again for some ten seconds, in which no machine does nearly so many.
"""
FORGET_REQUESTS_EVERY: Final = 256
"""Requests between two times that old ones are forgotten."""

CURSOR: Final = "notified"
"""The setting that says up to which event the history was read for those who want to be told of
what happens. None: nobody does.
"""

CONFIGURATION: Final = "configuration"
"""The setting that holds what the last reload has read."""

STUCK: Final = "stuck"
"""The setting that says what was stuck, and told, at the last look."""


class Settings:
    """The tables `settings`, `groups` and `requests`.

    Called by the writer's thread alone, inside its transaction. Promises that an answer is on disk
    in the same commit as what it tells of.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def get(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?",
            (name, value, value),
        )

    def note_wish(self) -> None:
        """Somebody wants to be told of what happens from here on, if nobody did before."""
        self._db.execute(
            f"INSERT OR IGNORE INTO settings SELECT '{CURSOR}', IFNULL(MAX(seq), 0) FROM events"
        )

    # --- groups --------------------------------------------------------------------------------

    def groups(self) -> list[tuple[str, int | None, bool]]:
        """Name, workers (None: as many as there are), whether it is paused."""
        rows = self._db.execute("SELECT name, workers, paused FROM groups ORDER BY name")
        return [(name, workers, bool(paused)) for name, workers, paused in rows]

    def set_group(self, name: str, workers: int | None, *, paused: bool) -> None:
        self._db.execute(
            "INSERT INTO groups VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET workers = excluded.workers, paused = excluded.paused",
            (name, workers, paused),
        )

    def remove_group(self, name: str) -> None:
        self._db.execute("DELETE FROM groups WHERE name = ?", (name,))

    # --- requests ------------------------------------------------------------------------------

    def answered(self, *requests: bytes) -> dict[bytes, bytes]:
        """Those of them that were answered, and what."""
        rows = self._db.execute(
            f"SELECT id, reply FROM requests WHERE id IN ({', '.join('?' * len(requests))})",
            requests,
        )
        return {bytes(request): bytes(reply) for request, reply in rows}

    def answer(self, request: bytes, reply: bytes) -> None:
        """`at` is a number that grows: earlier versions put the time there, and it goes on."""
        self._db.execute(
            "INSERT INTO requests VALUES (?, (SELECT COALESCE(MAX(at), 0) + 1 FROM requests), ?)",
            (request, reply),
        )

    def forget_requests(self, keep: int = REMEMBER_REQUESTS) -> None:
        """All but the latest, a slice at a time: more than have come since the last time."""
        self._db.execute(
            "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE at <="
            " (SELECT at FROM requests ORDER BY at DESC LIMIT 1 OFFSET ?) ORDER BY at LIMIT ?)",
            (keep, 2 * FORGET_REQUESTS_EVERY),
        )
