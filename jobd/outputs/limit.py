"""`--max-output`: a long output keeps its begin and its end, what lay between is given up.

The job writes straight into its file, so nothing can be held back. Instead a hole is punched into
the middle: offsets stay as they are, the blocks are free again. A hole is exact only in whole
blocks and a job may have holes of its own, so what was cut is noted beside the file, in
`JOB.ATTEMPT.cut`, before it is punched: whoever reads never takes zeros for output.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobd.contract import sizes
from jobd.system import linux

_SLACK: Final = 8
"""While it grows, an output is cut once it is over its limit by one in so many."""
_BLOCK: Final = 65536
"""No file system frees less than such a piece only because it has larger blocks."""
_NO_HOLES: Final = {errno.EOPNOTSUPP, errno.ENOSYS}


class Cut(Struct, frozen=True):
    """Bytes from `start` up to `end` are gone; `limit` was the `--max-output`."""

    start: int
    end: int
    limit: int

    def mark(self, begin: int) -> bytes:
        """What a reader sees who comes to `begin`, inside of it."""
        gone = sizes.text(self.end - begin)
        return f"[jobd: {gone} cut here, --max-output {sizes.text(self.limit)}]\n".encode()


class NoHolesError(Exception):
    """The file system cannot give up the middle of a file."""


def note_of(path: Path | str) -> str:
    """Where it is noted what was cut out of an output."""
    return f"{str(path).removesuffix('.log')}.cut"


def cut_of(path: Path | str) -> Cut | None:
    """What was cut out of an output; None: nothing."""
    try:
        with open(note_of(path), "rb", buffering=0) as file:
            start, end, limit = map(int, file.read(100).split())
    except (OSError, ValueError):
        return None
    return Cut(start, end, limit)


def kept_size(path: Path | str) -> int:
    """Bytes of an output that are still there; 0 where there is no file."""
    try:
        size = os.stat(path).st_size
    except OSError:
        return 0
    return _kept(size, cut_of(path))


def _kept(size: int, cut: Cut | None) -> int:
    return size if cut is None or cut.end > size else size - (cut.end - cut.start)


def cut(path: str, limit: int, *, final: bool) -> bool:
    """Cut the middle out of an output that is over its limit; whether it was.

    Raises: NoHolesError (nothing was cut), OSError.
    """
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        return False
    most = limit if final else limit + limit // _SLACK
    if size <= most:
        return False
    before = cut_of(path)
    if before is not None and before.end > size:
        before = None  # the job has made its output short again
    if _kept(size, before) <= most:
        return False
    start, end = limit // 2, 0
    if before is not None:
        start, end = min(start, before.start), before.end
    _cut(path, Cut(start, max(end, size - (limit - start)), limit), before)
    return True


def _cut(path: str, wanted: Cut, before: Cut | None) -> None:
    # A pipe in the place of the file must not hold us.
    flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        _write_note(path, wanted)
        _punch(descriptor, wanted, before)
    except NoHolesError:
        _write_note(path, before)
        raise
    finally:
        os.close(descriptor)


def _punch(descriptor: int, wanted: Cut, before: Cut | None) -> None:
    begin = wanted.start
    if before is not None and before.start == begin:
        # What was punched before need not be again, but for the block that held its end.
        begin = max(begin, before.end - before.end % _BLOCK)
    try:
        linux.punch_hole(descriptor, begin, wanted.end - begin)
    except OSError as error:
        if error.errno in _NO_HOLES:
            raise NoHolesError(os.strerror(error.errno)) from error
        raise


def _write_note(path: str, found: Cut | None) -> None:
    note = note_of(path)
    if found is None:
        Path(note).unlink(missing_ok=True)
        return
    fresh = f"{note}.new"
    with open(fresh, "wb", buffering=0) as file:
        file.write(b"%d %d %d\n" % (found.start, found.end, found.limit))
    os.replace(fresh, note)
