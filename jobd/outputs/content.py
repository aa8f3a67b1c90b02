"""What an attempt has printed, wherever it lies: in the file that it wrote, or compressed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from jobd.contract.directories import File
from jobd.outputs.packed import Packed, packed_of

_READ: Final = os.O_RDONLY


class Content(Protocol):
    """Bytes that are read by their offset. Raises: OSError; StoreFailed, Refused (compressed)."""

    def size(self) -> int:
        """How many there are just now."""

    def pread(self, count: int, offset: int) -> bytes:
        """So many of them, or as many as there are."""


class Plain:
    """The file that a job writes, or has written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def pread(self, count: int, offset: int) -> bytes:
        return os.pread(self._descriptor, count, offset)


@contextmanager
def opened(file: File) -> Iterator[Content]:
    """`file`: where the job has written. It is there until the compressed one is, in its place.

    Raises: what `File.open` does, StoreFailed (the compressed one is damaged).
    """
    try:
        descriptor, packed = file.open(_READ), None
    except FileNotFoundError as error:
        packed = packed_of(file)
        try:
            descriptor = packed.open(_READ)
        except FileNotFoundError:
            raise error from None
    try:
        yield Plain(descriptor) if packed is None else Packed(descriptor, packed.path)
    finally:
        os.close(descriptor)
