"""Looking at a database without changing a byte of it, whoever else has it open, or nobody.

An ordinary connection writes even when it only reads: the first one after a crash builds the index
of the write-ahead log anew (`-shm`), and the last one copies the log into the database. Here:

    a daemon has it open      an ordinary reader: what it writes, every reader writes
    nobody, and no log        `immutable`: no locks, no other files (sqlite.org/uri.html)
    nobody, and a log         `readonly_shm`: the index is built in memory (sqlite.org/wal.html)
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobd.contract.errors import NotPermitted, StoreFailed
from jobd.store.database import SEE_CHECK, connect, unreadable


@contextmanager
def open_untouched(path: Path, *, running: bool) -> Iterator[sqlite3.Connection]:
    """A connection that reads. Raises: StoreFailed (there is no database, or it is unreadable)."""
    try:
        found = path.exists()
    except PermissionError:
        raise NotPermitted(f"not permitted to read the database {path}") from None
    if not found:
        raise StoreFailed(f"there is no database at {path}")
    _refuse_stump(path)
    if running or not size(log_of(path)):
        with _connected(path, "ro" if running else "ro&immutable=1") as connection:
            yield connection
        return
    with _with_index(path), _connected(path, "ro&readonly_shm=1") as connection:
        yield connection


def _refuse_stump(path: Path) -> None:
    """SQLite deletes the log of a database without a whole page, even when it only reads."""
    try:
        with open(path, "rb") as file:
            header = file.read(18)
    except OSError as error:
        raise StoreFailed(f"cannot read the database {path}: {error.strerror}") from error
    page = int.from_bytes(header[16:18], "big")
    if header[:16] != b"SQLite format 3\0" or size(path) < (65536 if page == 1 else page):
        raise StoreFailed(f"the database {path} is cut off, or none at all. {SEE_CHECK}")


@contextmanager
def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        connection = connect(path, mode)
        try:
            connection.execute("PRAGMA query_only = ON")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


@contextmanager
def _with_index(path: Path) -> Iterator[None]:
    """SQLite insists on the index's file, though it does not look into it; an empty one will do."""
    index = Path(f"{path}-shm")
    made = not index.exists()
    if made:
        try:
            os.close(os.open(index, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreFailed(f"cannot look into {path} here: {error.strerror}: {index}") from error
    try:
        yield
    finally:
        # A daemon that has started meanwhile has filled it.
        if made and not size(index):
            with suppress(OSError):
                index.unlink()


def log_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return Path(f"{path}-wal")


def size(path: Path) -> int:
    """Bytes; 0 where there is no file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
