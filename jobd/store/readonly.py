"""Looking at a database without changing a byte of it, whoever else has it open, or nobody.

An ordinary connection writes even when it only reads: the first one after a crash builds the index
of the write-ahead log anew (`-shm`), and the last one copies the log into the database. Here:

    a daemon has it open      an ordinary reader: what it writes, every reader writes
    nobody, and no log        `immutable`: no locks, no other files (sqlite.org/uri.html)
    nobody, and a log         `readonly_shm`: the index is built in memory (sqlite.org/wal.html)

A log that holds no frame is none: whoever is killed between the first two writes to it leaves just
its header. SQLite itself takes it so when it may write; with `readonly_shm` it only finds that the
index in memory, which is empty, does not belong to that header, and gives up ("locking protocol").
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import NotPermitted, StoreFailed
from jobd.store.database import SEE_CHECK, connect, unreadable
from jobd.store.wal import FRAME_HEADER, HEADER, is_header

_BLOCK: Final = 1024 * 1024


@contextmanager
def open_untouched(path: Path, *, running: bool) -> Iterator[sqlite3.Connection]:
    """A connection that reads. Raises: StoreFailed (there is no database, or it is unreadable)."""
    try:
        found = path.exists()
    except PermissionError:
        raise NotPermitted(f"not permitted to read the database {path}") from None
    if not found:
        raise StoreFailed(f"there is no database at {path}")
    page = _page_size(path)
    if running or not _holds_frames(path, page):
        with _connected(path, "ro" if running else "ro&immutable=1") as connection:
            yield connection
        return
    with _with_index(path), _connected(path, "ro&readonly_shm=1") as connection:
        yield connection


def _page_size(path: Path) -> int:
    """In bytes. SQLite deletes the log of a database without a whole page, even when it only reads.

    Raises: StoreFailed (it has none).
    """
    try:
        with open(path, "rb") as file:
            header = file.read(18)
    except OSError as error:
        raise StoreFailed(f"cannot read the database {path}: {error.strerror}") from error
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    if header[:16] != b"SQLite format 3\0" or size(path) < page:
        raise StoreFailed(f"the database {path} is truncated or not a database. {SEE_CHECK}")
    return page


def _holds_frames(path: Path, page: int) -> bool:
    """Whether the log has a frame that SQLite would look at; `page`: bytes of a page.

    Raises: StoreFailed (there are some, and SQLite would pass over them all, and say nothing).
    """
    log = log_of(path)
    if size(log) < HEADER + FRAME_HEADER + page:
        return False
    try:
        with open(log, "rb") as file:
            if is_header(file.read(HEADER)):
                return True
            # The disk may have come to the length of a log, and not to its content.
            blank = not any(any(block) for block in iter(lambda: file.read(_BLOCK), b""))
    except OSError as error:
        raise StoreFailed(f"cannot read {log}: {error.strerror}") from error
    if not blank:
        raise StoreFailed(
            f"the database {path} cannot be used: the beginning of its log is damaged, and what "
            f"follows there would be lost. {SEE_CHECK}"
        )
    return False


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
