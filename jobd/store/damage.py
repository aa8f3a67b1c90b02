"""Before a database is opened for writing: is it whole? Nothing here changes a byte of it.

SQLite takes the end of a damaged write-ahead log for the end of what was committed, and an empty
file for a new database: in both cases acknowledged jobs would be missing and nobody would say so.
What else is on the disk knows better. The log's index (`-shm`) tells how far the log went; it is
written after the log has been synchronised, so the log can never rightly be shorter than it says.
The layouts are those of sqlite.org/walformat.html.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from jobd.store.database import open_reader, unreadable
from jobd.store.inspection import Inspection
from jobd.store.readonly import log_of, size
from jobd.store.wal import FRAME_HEADER, HEADER, checksum, is_header, is_swapped, sums

_INDEX: Final = struct.Struct("=I8xBBHI4xII8s8x")
"""Version, is initialised, big-endian, page size, frames, checksum of the last one, salt."""
_BACKFILLED: Final = 96
"""Where the index tells how many frames have been copied into the database."""
LOG_WAS_CUT: Final = "the end of its log is missing, and with it what was last confirmed"
"""Said where `log_was_cut`."""
_AT_ONCE: Final = 32 * 1024 * 1024
"""Bytes of a database that is looked through before the start; a larger one, after it."""


def faults_of(path: Path, inspection: Inspection) -> list[str]:
    """What SQLite finds wrong in a database; of a large one that is told after the start.

    Raises: sqlite3.Error.
    """
    return [] if is_large(path) else inspection.structure(whole=False)


def faults_meanwhile(path: Path) -> list[str]:
    """The same of any, beside the daemon's own connections. Raises: StoreFailed.

    The file itself is not opened: with it SQLite's locks would be closed, too (fcntl(2)).
    """
    try:
        with closing(open_reader(path)) as connection:
            return Inspection(connection).structure(whole=False)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def is_large(path: Path) -> bool:
    """Too large to be looked through before the start."""
    return size(path) > _AT_ONCE


# --- the log against its index ------------------------------------------------------------------


class _Index(NamedTuple):
    page: int
    frames: int
    checksum: tuple[int, int]
    salt: bytes
    copied: int
    """Frames that are in the database already."""


def log_was_cut(path: Path, *, same_boot: bool) -> bool:
    """Whether frames that the index knows of are missing from the log, or damaged in it."""
    index = _index_of(path)
    if index is None or index.frames <= index.copied:
        return False
    log = log_of(path)
    with open(log, "rb") if log.exists() else open("/dev/null", "rb") as file:
        header = file.read(HEADER)
        if header[16:24] != index.salt:
            # After a crash of the machine the index may be older than the log; else it never is.
            return same_boot
        # Behind a header that is not whole SQLite reads no frame, however good they are.
        return not (is_header(header) and _reaches(file, index, header))


def _index_of(path: Path) -> _Index | None:
    """None: there is none, or it says nothing."""
    try:
        with open(f"{path}-shm", "rb") as file:
            content = file.read(_BACKFILLED + 4)
    except OSError:
        return None
    # The header of the index is there twice; where they differ, its writer was killed in between.
    if (
        len(content) < _BACKFILLED + 4
        or content[: _INDEX.size] != content[_INDEX.size : _BACKFILLED]
    ):
        return None
    _, initialised, _, page, frames, first, second, salt = _INDEX.unpack_from(content)
    if not initialised or not frames:
        return None
    (copied,) = struct.unpack_from("=I", content, _BACKFILLED)
    return _Index(65536 if page == 1 else page, frames, (first, second), salt, copied)


def _reaches(file: BinaryIO, index: _Index, header: bytes) -> bool:
    """Whether every frame up to the last one follows from the one before."""
    swap = is_swapped(header)
    last = sums(header[24:])
    for _ in range(index.frames):
        head, page = file.read(FRAME_HEADER), file.read(index.page)
        if len(page) < index.page or head[8:16] != index.salt:
            return False
        last = checksum(page, checksum(head[:8], last, swap=swap), swap=swap)
        if sums(head[16:]) != last:
            return False
    return last == index.checksum
