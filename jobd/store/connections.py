"""Connections that only read: a few of them, used again and again."""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from jobd.store.database import open_reader, unreadable

_IDLE: Final = 4
"""So many are kept for the next who read."""


class Connections(Protocol):
    """Where whoever reads gets a connection from, for as long as the context goes on."""

    def one(self) -> AbstractContextManager[sqlite3.Connection]:
        """Each statement sees the last commit."""

    def view(self) -> AbstractContextManager[sqlite3.Connection]:
        """All statements see the same commit. Not for long: meanwhile the log only grows."""

    def close(self) -> None:
        """What is being read is read to its end."""


class Pool:
    """Any thread may call. Raises: JobdError (also what is raised inside, as StoreFailed)."""

    def __init__(self, path: Path, check: Callable[[], object]) -> None:
        """`check` raises JobdError where somebody else's file is at the path by now."""
        self._path = path
        self._check = check
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._opened()
        try:
            yield connection
        except sqlite3.Error as error:
            raise unreadable(self._path, error) from error
        finally:
            if self._idle.qsize() < _IDLE and not self._closed:
                self._idle.put(connection)
            else:
                connection.close()

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        with self.one() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        self._closed = True
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = open_reader(self._path)
        except sqlite3.Error as error:
            raise unreadable(self._path, error) from error
        try:
            # Afterwards: if it is ours now, it was when it was opened.
            self._check()
        except BaseException:
            connection.close()
            raise
        return connection


class Pinned:
    """One connection in a view that goes on: whoever reads by this sees that commit. One thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        yield self._connection

    view = one

    def close(self) -> None:
        """Whoever has begun the view ends it."""
