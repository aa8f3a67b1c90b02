"""Environments of jobs on disk, once per distinct content."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from jobd.store.records import PackedEnvironment, pack_environment


class Environments:
    """The table `environments`: a content, and how many jobs have it, and messages about them.

    Called by the writer's thread alone, inside its transaction, but for `pack`. Promises that what
    is excluded never gets to the disk, and that a content goes with the last that has it.
    """

    def __init__(
        self, connection: sqlite3.Connection, exclude: Callable[[], Sequence[str]] = tuple
    ) -> None:
        """`exclude`: patterns of names, as fnmatch(3) has them, at the moment."""
        self._db = connection
        self._exclude = exclude
        self._latest: tuple[dict[bytes, bytes], PackedEnvironment] = ({}, pack_environment({}))

    def pack(self, environment: dict[bytes, bytes]) -> PackedEnvironment:
        """Make it ready for the disk, which takes a while: any thread may call this.

        The one way by which an environment gets there: what is excluded ends here.
        """
        kept = self._kept(environment)
        before, packed = self._latest
        if kept != before:
            # A shell that submits one job after the other has the same one each time.
            packed = pack_environment(kept)
            self._latest = (kept, packed)
        return packed

    def _kept(self, environment: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """What of it may be stored, and so may stay in memory, too."""
        excluded = [os.fsencode(pattern) for pattern in self._exclude()]
        if not excluded:
            return environment
        return {
            name: value
            for name, value in environment.items()
            if not any(fnmatchcase(name, pattern) for pattern in excluded)
        }

    def use(self, environment: PackedEnvironment, uses: int) -> int:
        """The id of this content, stored now if it is new; counts `uses` more jobs."""
        row = self._db.execute(
            "INSERT INTO environments (digest, content, uses) VALUES (?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET uses = uses + excluded.uses RETURNING id",
            (environment.digest, environment.content, uses),
        ).fetchone()
        return int(row[0])

    def hold(self, environment: int | None) -> int | None:
        """One message or gathering more has it. None: it is none, or is there no more."""
        found = self._db.execute(
            "UPDATE environments SET uses = uses + 1 WHERE id = ?", (environment,)
        )
        return environment if found.rowcount else None

    def leave(self, environment: int, uses: int = 1) -> None:
        """So many fewer have it."""
        self._db.execute(
            "UPDATE environments SET uses = uses - ? WHERE id = ?", (uses, environment)
        )
        self._db.execute("DELETE FROM environments WHERE id = ? AND uses <= 0", (environment,))
