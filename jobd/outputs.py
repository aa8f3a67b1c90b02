"""Reading output files: their end, or a piece; never the whole of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from jobd.contract.errors import NotFound
from jobd.core.progress import WINDOW

_TICK_NS: Final = 20_000_000
"""Longer than a tick of the clock that times of change are taken from (10 ms at most)."""
PIECE: Final = 1024 * 1024
"""Bytes of output in one reply."""


def read_tail(path: Path | str, size: int = WINDOW) -> bytes:
    """The end of a file; b"" where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        end = os.fstat(descriptor).st_size
        return os.pread(descriptor, size, max(0, end - size)) if end else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def read_head(path: Path | str, size: int) -> bytes:
    """The begin of a file; b"" where there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(size)
    except OSError:
        return b""


class Growing:
    """The end of a file that may be written to, read only when it has been."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None

    def news(self) -> bytes | None:
        """Its end, or None if it is as it was."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        stamp = found.st_size, found.st_mtime_ns
        if stamp == self._seen:
            return None
        # Within one tick of the kernel's clock it may change again without a trace.
        settled = time.time_ns() - found.st_mtime_ns > _TICK_NS
        self._seen = stamp if settled else None
        return read_tail(self.path)

    def forget(self) -> None:
        """Whatever it is now is news."""
        self._seen = None


def size_of(path: Path | str) -> int:
    """Bytes; 0 where there is no file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def read_piece(path: Path, offset: int, tail: int | None, *, missing_ok: bool) -> tuple[bytes, int]:
    """A piece of the file and where it begins: at `offset`, or so many lines before the end.

    Raises: NotFound (there is no file; with `missing_ok` it counts as empty).
    """
    try:
        # A pipe in the place of the file must not hold the reader.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if missing_ok:
            return b"", offset
        raise NotFound(f"the output file {path} is gone") from None
    try:
        if tail is not None:
            offset = _tail_offset(descriptor, tail)
        return os.pread(descriptor, PIECE, offset), offset
    finally:
        os.close(descriptor)


def _tail_offset(descriptor: int, lines: int) -> int:
    """Where the last `lines` lines begin, found from the end, a block at a time."""
    end = position = os.fstat(descriptor).st_size
    if lines == 0 or end == 0:
        return end
    # A final line feed closes the last line; it does not begin another one.
    wanted = lines + (os.pread(descriptor, 1, end - 1) == b"\n")
    while position > 0:
        size = min(65536, position)
        position -= size
        block = os.pread(descriptor, size, position)
        count = block.count(b"\n")
        if count >= wanted:
            return position + _nth_from_end(block, wanted) + 1
        wanted -= count
    return 0


def _nth_from_end(block: bytes, wanted: int) -> int:
    at = len(block)
    for _ in range(wanted):
        at = block.rindex(b"\n", 0, at)
    return at
