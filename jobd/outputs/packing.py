"""An output is compressed where it lies, and a crash between any two steps loses nothing.

written beside it and on the disk → named → the output itself goes

As long as it is there the output itself is what is read; from then on the compressed one. What a
crash leaves is written once more, or goes with the output.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from jobd.contract.directories import File
from jobd.outputs.limit import cut_of
from jobd.outputs.packed import content_size, leftovers_of, packed_of, write_packed
from jobd.outputs.workspace import Stored
from jobd.system.leases import is_written_to


class Packing(Enum):
    """What became of an output that was to be compressed."""

    DONE = auto()
    UNFIT = auto()
    """It would not become smaller, or nobody can tell whether it grows: it stays as it is."""
    WRITTEN_TO = auto()
    """A process that its job has left behind has it open, and may write to it."""
    GONE = auto()


def pack(file: File, is_kept: Callable[[], bool]) -> Packing:
    """Compress the output of an attempt that has ended.

    `is_kept`: whether its job is still there; one that is removed meanwhile leaves nothing behind.

    Raises: Refused (no library), OSError (no space; it stays as it is).
    """
    try:
        descriptor = file.open(os.O_RDONLY)
    except FileNotFoundError:
        return Packing.GONE
    try:
        done = _packed_beside(file, descriptor)
    finally:
        os.close(descriptor)
    if done is not Packing.DONE:
        return done
    if is_kept():
        file.unlink()
        return Packing.DONE
    # Whoever removes a job deletes what there is then; this came later.
    delete_packed(file)
    return Packing.GONE


def _packed_beside(file: File, descriptor: int) -> Packing:
    before = os.fstat(descriptor)
    try:
        if is_written_to(descriptor):
            return Packing.WRITTEN_TO
    except OSError:
        return Packing.UNFIT
    if not write_packed(file, descriptor):
        return Packing.UNFIT
    after = os.fstat(descriptor)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if same and not is_written_to(descriptor):
        return Packing.DONE
    delete_packed(file)
    return Packing.WRITTEN_TO


def delete_packed(file: File) -> None:
    """What packing has made of an output, finished or not. Raises: OSError."""
    for left in leftovers_of(file):
        with suppress(FileNotFoundError):
            left.unlink()


def stored(file: File) -> Stored:
    """As `jobd.outputs.workspace.Output.stored`."""
    for found in (file, packed_of(file)):
        try:
            descriptor = found.open(os.O_RDONLY)
        except OSError:
            continue
        try:
            status = os.fstat(descriptor)
            whole = status.st_size if found is file else content_size(descriptor)
            cut = cut_of(file)
            gone = cut.end - cut.start if cut is not None and cut.end <= (whole or 0) else 0
            return Stored(found.path, (whole or 0) - gone, status.st_blocks * 512)
        finally:
            os.close(descriptor)
    return Stored(file.path, 0, 0)
