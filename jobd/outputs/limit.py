"""`--max-output`: a long output keeps its begin and its end, what lay between is given up.

The job writes straight into its file, so nothing can be held back. Instead a hole is punched into
the middle: offsets stay as they are, the blocks are free again. A hole is exact only in whole
blocks and a job may have holes of its own, so what was cut is noted beside the file, in
`JOB.ATTEMPT.cut`, before it is punched: whoever reads never takes zeros for output. Until it has
been punched the note says that, too, and it is tried again.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Final

from msgspec import Struct

from jobd.contract import sizes
from jobd.contract.directories import File
from jobd.outputs.workspace import NotCuttable
from jobd.system import file_space

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
    punched: bool = True
    """Whether they take no space any more, either."""

    @property
    def text(self) -> bytes:
        """As the note has it."""
        return b"%d %d %d%s\n" % (self.start, self.end, self.limit, b"" if self.punched else b" 0")

    def mark(self, begin: int) -> bytes:
        """What a reader sees who comes to `begin`, inside of it."""
        gone = sizes.text(self.end - begin)
        return f"[jobd: {gone} cut here, --max-output {sizes.text(self.limit)}]\n".encode()


def note_of(file: File) -> File:
    """Where it is noted what was cut out of an output."""
    return file.beside(f"{file.name.removesuffix('.log')}.cut")


def cut_of(file: File) -> Cut | None:
    """What was cut out of an output; None: nothing."""
    try:
        with open(note_of(file).open(os.O_RDONLY), "rb", buffering=0) as note:
            start, end, limit, *unpunched = map(int, note.read(100).split())
    except (OSError, ValueError):
        return None
    return Cut(start, end, limit, not unpunched)


def kept_size(file: File) -> int:
    """Bytes of an output that are still there; 0 where there is no file."""
    try:
        size = file.look().st_size
    except OSError:
        return 0
    return _kept(size, cut_of(file)) if size else 0


def _kept(size: int, cut: Cut | None) -> int:
    return size if cut is None or cut.end > size else size - (cut.end - cut.start)


def cut(file: File, limit: int, *, final: bool) -> bool:
    """Cut the middle out of an output that is over its limit; whether it was.

    Raises: NotCuttable (nothing was cut), OSError.
    """
    try:
        size = file.look().st_size
    except FileNotFoundError:
        return False
    most = limit if final else limit + limit // _SLACK
    if size <= most:
        return False
    before = cut_of(file)
    if before is not None and before.end > size:
        before = None  # the job has made its output short again
    if before is not None and not before.punched:
        _carry_out(file, before, None)
    if _kept(size, before) <= most:
        return False
    start, end = limit // 2, 0
    if before is not None:
        start, end = min(start, before.start), before.end
    wanted = Cut(start, max(end, size - (limit - start)), limit, punched=False)
    _carry_out(file, wanted, before)
    return True


def _carry_out(file: File, wanted: Cut, before: Cut | None) -> None:
    """`before`: what is punched already."""
    descriptor, note = file.open(os.O_WRONLY), note_of(file)
    try:
        # In this order on the disk, too: after a power cut no zeros are taken for output.
        os.fdatasync(descriptor)
        _write_note(note, wanted)
        _punch(descriptor, wanted, before)
    except NotCuttable:
        _write_note(note, before)
        raise
    finally:
        os.close(descriptor)
    _note_punched(note, wanted)


def _punch(descriptor: int, wanted: Cut, before: Cut | None) -> None:
    begin = wanted.start
    if before is not None and before.start == begin:
        # What was punched before need not be again, but for the block that held its end.
        begin = max(begin, before.end - before.end % _BLOCK)
    try:
        file_space.punch_hole(descriptor, begin, wanted.end - begin)
    except OSError as error:
        if error.errno in _NO_HOLES:
            raise NotCuttable(os.strerror(error.errno)) from error
        raise


def _write_note(note: File, found: Cut | None) -> None:
    if found is None:
        with suppress(FileNotFoundError):
            note.unlink()
        return
    fresh = note.beside(f"{note.name}.new")
    with open(fresh.make(os.O_WRONLY | os.O_TRUNC), "wb", buffering=0) as content:
        content.write(found.text)
        os.fsync(content.fileno())
    fresh.replace(note.name)
    note.directory.sync()


def _note_punched(note: File, found: Cut) -> None:
    """Where it stands, and not synchronised: a hole that is punched once more is the same hole."""
    with open(note.open(os.O_WRONLY), "wb", buffering=0) as content:
        os.pwrite(content.fileno(), b" \n", len(found.text) - 2)
