"""Output files: their end, or a piece, never the whole of them."""

from __future__ import annotations

import errno
import os
import time
from typing import Final

from jobd.contract.directories import File, Foreign
from jobd.contract.errors import JobdError, NotFound
from jobd.outputs.content import Content, opened
from jobd.outputs.limit import Cut, cut_of
from jobd.outputs.workspace import Found
from jobd.system.birth import birth_ns

_HOLE: Final = bytes(256)
_TICK_NS: Final = 20_000_000
"""Longer than a tick of the clock that times of change are taken from (10 ms at most)."""
PIECE: Final = 1024 * 1024
"""Bytes of output in one reply."""
LONGEST_LINE: Final = 1024 * 1024
"""Bytes of a line that are given of it where the last lines are asked for: its end."""


def read_tail(file: File, size: int) -> bytes:
    """The end of a file, `size` bytes at most; b"" where there is none."""
    try:
        with opened(file) as found:
            end = found.size()
            content = found.pread(size, max(0, end - size)) if end else b""
    except (OSError, JobdError):
        return b""
    # Of an output that was cut, what lies behind the hole; no text has so many zeros.
    return content[content.rfind(_HOLE) + len(_HOLE) :] if _HOLE in content else content


def has_more(file: File, offset: int) -> bool:
    """Whether there is anything behind `offset`; False where it cannot be read."""
    try:
        descriptor = file.open(os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.fstat(descriptor).st_size > offset
    finally:
        os.close(descriptor)


def was_emptied(file: File) -> bool:
    """Whether it is empty, and was changed since it was made; False where that is not known."""
    try:
        descriptor = file.open(os.O_RDONLY)
    except OSError:
        return False
    try:
        found, made = os.fstat(descriptor), birth_ns(descriptor)
        return not found.st_size and made is not None and found.st_mtime_ns > made
    finally:
        os.close(descriptor)


def read_head(file: File, size: int) -> bytes:
    """The begin of a file; b"" where there is none."""
    try:
        with opened(file) as content:
            return content.pread(size, 0)
    except (OSError, JobdError):
        return b""


class GrowingFile:
    """The end of a file that may be written to, read only when it has been."""

    def __init__(self, file: File, window: int) -> None:
        """`window`: so many bytes of its end."""
        self._file = file
        self._window = window
        self._seen: tuple[int, int] | None = None

    def news(self) -> bytes | None:
        """Its end, or None if it is as it was."""
        try:
            found = self._file.look()
        except OSError:
            return None
        stamp = found.st_size, found.st_mtime_ns
        if stamp == self._seen:
            return None
        # Within one tick of the kernel's clock it may change again without a trace.
        settled = time.time_ns() - found.st_mtime_ns > _TICK_NS
        self._seen = stamp if settled else None
        return read_tail(self._file, self._window) if found.st_size else b""

    def forget(self) -> None:
        """Whatever it is now is news."""
        self._seen = None


def read_piece(
    file: File, offset: int, tail: int | None, *, missing_ok: bool, seen: bytes = b""
) -> Found:
    """A piece of the file: at `offset`, or from so many lines before the end on.

    `seen`: the last bytes that were read before `offset`. Where they are there no more, the job has
    made the file shorter (`> /dev/stderr` empties it), or replaced it: it is read from its begin.

    Raises: NotFound (there is no file; with `missing_ok` it counts as empty. Or something else is
    in its place, or in that of its directory), JobdError (it is compressed, and cannot be
    read).
    """
    try:
        with opened(file) as content:
            return _piece(file, content, offset, tail, seen)
    except OSError as error:
        if missing_ok and isinstance(error, FileNotFoundError):
            return Found(b"", offset, offset, last=True)
        if not isinstance(error, (FileNotFoundError, Foreign)) and error.errno != errno.ELOOP:
            raise
        job, attempt, _ = file.name.split(".")
        raise NotFound(f"the output of job {job} is gone (attempt {attempt})") from None


def _piece(file: File, content: Content, offset: int, tail: int | None, seen: bytes) -> Found:
    cut = _cut_of(file, content)
    while True:
        begin, clipped = (offset, False) if tail is None else _tail(content, tail, cut)
        anew = tail is None and not _is_there(content, offset, seen, cut)
        found = _read(content, 0 if anew else begin, cut)
        found = found._replace(clipped=clipped, anew=anew)
        # What is cut is noted before it goes: by the same note, all that was read was there.
        again = _cut_of(file, content)
        if again == cut:
            return found
        cut = again


def _cut_of(file: File, content: Content) -> Cut | None:
    cut = cut_of(file)
    # A job may have made its output short again.
    return None if cut is None or cut.end > content.size() else cut


def _is_there(content: Content, offset: int, seen: bytes, cut: Cut | None) -> bool:
    """Whether what was read up to `offset` still is; what was cut since is zeros, and was."""
    size = content.size()
    if size < offset:
        # Of one that has read nothing yet, the offset may lie in what is still to be written.
        return not seen
    begin = offset - len(seen)
    if begin < 0 or (cut is not None and begin < cut.end):
        return begin >= 0
    return content.pread(len(seen), begin) == seen


def _read(content: Content, offset: int, cut: Cut | None) -> Found:
    if cut is None or offset >= cut.end:
        data = content.pread(PIECE, offset)
        return Found(data, offset, offset + len(data), last=len(data) < PIECE)
    data = content.pread(min(PIECE, max(0, cut.start - offset)), offset)
    if offset + len(data) < cut.start:
        return Found(data, offset, offset + len(data), last=False)
    # On a line of its own.
    before = data[-1:] or (content.pread(1, offset - 1) if offset == cut.start else b"")
    gap = b"" if before in (b"", b"\n") else b"\n"
    mark = cut.mark(max(offset, cut.start))
    return Found(data + gap + mark, offset, cut.end, last=False)


def _tail(content: Content, lines: int, cut: Cut | None = None) -> tuple[int, bool]:
    """Where the last `lines` lines begin, found from the end, a block at a time.

    And whether it is in the midst of a line: of one that may be gigabytes only the end is read.
    """
    end = position = content.size()
    if lines == 0 or end == 0:
        return end, False
    # A final line feed closes the last line; it does not begin another one.
    wanted = lines + (content.pread(1, end - 1) == b"\n")
    line = 0  # bytes of the line that is being read
    while position > 0:
        if cut is not None and position == cut.end:
            position = cut.start
            continue
        floor = cut.end if cut is not None and position > cut.end else 0
        size = min(65536, position - floor)
        position -= size
        block = content.pread(size, position)
        count = block.count(b"\n")
        if count >= wanted:
            begin = position + _nth_from_end(block, wanted) + 1
            return cut.end if cut is not None and begin == cut.start else begin, False
        wanted -= count
        line = block.index(b"\n") if count else line + size
        if line >= LONGEST_LINE:
            return position, position > 0
    return 0, False


def _nth_from_end(block: bytes, wanted: int) -> int:
    at = len(block)
    for _ in range(wanted):
        at = block.rindex(b"\n", 0, at)
    return at
