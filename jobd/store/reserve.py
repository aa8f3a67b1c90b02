"""Room in the database's files that is kept for what must be saved when the disk is full.

A full disk would keep everybody from making room on it: to stop the job that fills it, or to remove
it, is a write, too. So blocks are allocated ahead (fallocate(2)), behind the end of the log, where
the next transactions go, and behind that of the database, which the log goes into: nobody else can
take them, however fast a job writes. Once no more can be allocated, only what makes room or has
ended is saved, out of that reserve, until there is space. What was rolled back leaves its part of
the log to the next transaction, so a submit that was too large for it costs nothing of it.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import StoreFailed
from jobd.store.readonly import log_of
from jobd.store.writer import NO_SPACE, NOTHING_CHANGED
from jobd.system import file_space

_MOST: Final = 1024 * 1024
"""Bytes of the reserve: dozens of changes of a few jobs each, or the ends of a thousand."""
_SHARE: Final = 16
"""Of a small disk it takes one part in so many."""
_BLOCK: Final = 4096
_UNIT: Final = 512
"""Bytes of what stat(2) counts blocks in."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger(__name__)


class Reserve:
    """`look` is called by the writer's thread, before each of its transactions; any thread may ask
    whether it is in use.
    """

    def __init__(self, database: Path, descriptor: int, connection: sqlite3.Connection) -> None:
        """`descriptor`: of the database, for writing. `connection`: the writer's own."""
        self._path = log_of(database)
        self._database = descriptor
        self._db = connection
        self._log: int | None = None
        self._possible = True
        self.size = _size_on(database.parent)
        """In bytes, of each of the two."""
        self.in_use = False
        """Nothing more can be allocated: what is left is for what must be saved."""

    @property
    def trouble(self) -> str | None:
        """What is to be told of it; None while there is space."""
        if not self.in_use:
            return None
        return (
            f"{NO_SPACE}: jobs are stopped, held and removed, and their ends saved, out of a "
            "reserve; nothing else is, and no job is started, until there is space"
        )

    def refuse(self) -> None:
        """What is not to be saved out of the reserve. Raises: StoreFailed (it is in use)."""
        if self.in_use:
            raise StoreFailed(f"could not be saved: {NO_SPACE}. {NOTHING_CHANGED}")

    def look(self, database: os.stat_result) -> None:
        """See to it that there is a reserve, as far as the disk allows it.

        `database`: what it is like now; whoever calls has just looked.
        """
        if not self._possible or (self._log is None and not self._open()):
            return
        if self.in_use:
            self._recycle()
            database = os.fstat(self._database)
        try:
            self._allocate(database)
        except OSError as error:
            if error.errno in _FULL:
                self._begin_use()
            else:
                self._possible = False
                log.info("%s: no room can be reserved here: %s", self._path, error.strerror)
            return
        if self.in_use:
            log.info("there is space on the disk of the database again")
            self.in_use = False

    def close(self) -> None:
        """After the last transaction."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _open(self) -> bool:
        """False: there is no log yet."""
        with suppress(FileNotFoundError):
            self._log = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        return self._log is not None

    def _allocate(self, database: os.stat_result) -> None:
        """Twice as much as must be there, so that it need not be done again soon.

        Raises: OSError (ENOSPC, EDQUOT: there is not so much).
        """
        assert self._log is not None
        log = os.fstat(self._log)
        self._allocate_behind(self._log, log, 0)
        # By no more than there is in the log the database grows when that goes into it.
        self._allocate_behind(self._database, database, log.st_size)

    def _allocate_behind(self, descriptor: int, found: os.stat_result, more: int) -> None:
        """Behind the end of the file, which is like that, and so many bytes `more`."""
        size, end = found.st_size, found.st_size + more
        # While it is in use a little more is not enough.
        least = end + (2 if self.in_use else 1) * self.size
        if found.st_blocks * _UNIT < least:
            file_space.allocate(descriptor, size, end + 2 * self.size - size)

    def _begin_use(self) -> None:
        if not self.in_use:
            self.in_use = True
            log.error("%s", self.trouble)

    def _recycle(self) -> None:
        """What is in the log goes into the database as far as that has room for it: then the log
        is written from its beginning again.
        """
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _size_on(directory: Path) -> int:
    found = os.statvfs(directory)
    share = found.f_blocks * found.f_frsize // _SHARE
    return min(_MOST, share) // _BLOCK * _BLOCK
