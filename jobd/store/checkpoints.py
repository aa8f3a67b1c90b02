"""The log goes into the database in a thread of its own, so that hardly any commit has to do that.

A commit that finds the log long (`PRAGMA wal_autocheckpoint`) copies it into the database and syncs
that, and all who want something wait meanwhile. So it is copied before, beside the writer; to that
commit is left what has come since. Only the writer can begin the log anew.
"""

from __future__ import annotations

import logging
import mmap
import os
import sqlite3
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError
from jobd.store.database import connect

_MANY: Final = 1000
"""Frames that are in the log alone; so many are copied."""
_FEW: Final = 250
"""So many are nothing to wait for."""
_SOON: Final = 3000
"""Not far behind so many frames in all a commit copies what is left: then few are many."""
_NUMBER: Final = struct.Struct("=I")
_WRITTEN: Final = 16
_COPIED: Final = 96
"""Where the index has the number of the last frame of the log, and of the last one that is in the
database, too (sqlite.org/walformat.html: `mxFrame`, `nBackfill`).
"""

log = logging.getLogger(__name__)


class LogIndex:
    """How long the log is, read where SQLite has it in memory.

    Made behind the first connection and closed behind the last: with any descriptor of that file
    that is closed, all locks of this process on it go (fcntl(2)).
    """

    def __init__(self, database: Path) -> None:
        """Raises: OSError, ValueError (it is too short)."""
        self._descriptor = os.open(f"{database}-shm", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._map = mmap.mmap(self._descriptor, mmap.PAGESIZE, prot=mmap.PROT_READ)

    @property
    def written(self) -> int:
        """Frames of the log."""
        return self._number(_WRITTEN)

    @property
    def left(self) -> int:
        """Those of them that are in the log alone."""
        return self.written - self._number(_COPIED)

    def _number(self, offset: int) -> int:
        return int(_NUMBER.unpack_from(self._map, offset)[0])

    def close(self) -> None:
        self._map.close()
        os.close(self._descriptor)


class Checkpoints:
    """`look` is called by the writer's thread, `close` by whoever has made it.

    Where it cannot work, commits do what it would have done.
    """

    def __init__(
        self, database: Path, check: Callable[[], object] = lambda: None, *, durable: bool
    ) -> None:
        """Behind the first connection to the database. `durable`: as for `open_writer`.

        `check` raises JobdError where somebody else's file is at the path by now.
        """
        self._database = database
        self._check = check
        self._durable = durable
        self._wanted = threading.Event()
        self._closed = False
        self._index: LogIndex | None = None
        self._thread: threading.Thread | None = None
        with suppress(OSError, ValueError):
            self._index = LogIndex(database)

    def look(self) -> None:
        """Between two transactions: where much is in the log alone, it is copied."""
        index = self._index
        if index is None or self._wanted.is_set():
            return
        left = index.left
        if left >= _MANY or (left >= _FEW and index.written >= _SOON):
            self._wanted.set()
            if self._thread is None:
                self._begin()

    def close(self) -> None:
        """Before the last connection is closed."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def forget(self) -> None:
        """Behind the last connection."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _begin(self) -> None:
        """Only where there is something to do; without a thread left commits do it."""
        thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._wanted.clear()
        else:
            self._thread = thread

    def _run(self) -> None:
        try:
            with closing(connect(self._database, "rw")) as connection:
                # Afterwards: if it is ours now, it was when it was opened.
                self._check()
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'OFF'}")
                self._serve(connection)
        except (sqlite3.Error, JobdError) as error:
            log.warning("the log of the database is copied by commits alone: %s", error)

    def _serve(self, connection: sqlite3.Connection) -> None:
        while self._wanted.wait():
            # Before the look at what there is: who asks for it meanwhile is heard.
            self._wanted.clear()
            if self._closed:
                break
            self._copy(connection)

    def _copy(self, connection: sqlite3.Connection) -> None:
        """Until few are left; what is written meanwhile, too. On a full disk nothing is."""
        assert self._index is not None
        left, before = self._index.left, 1 << 32
        while _FEW <= left < before and not self._closed:
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            left, before = self._index.left, left
