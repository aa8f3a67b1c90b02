"""The layout of SQLite's write-ahead log (sqlite.org/fileformat2.html#walformat)."""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Final

HEADER: Final = 32
"""Bytes at the beginning of a log; a log that is no longer holds nothing."""
FRAME_HEADER: Final = 24
"""Bytes before the page of each frame."""
_MAGIC: Final = 0x377F0682
"""The last bit says in which order of bytes the checksums are computed."""
_SMALLEST_PAGE: Final = 512
_LARGEST_PAGE: Final = 65536


def is_header(header: bytes) -> bool:
    """Whether SQLite reads on behind it; else the whole log counts as empty."""
    if len(header) < HEADER:
        return False
    magic, _, page = struct.unpack_from(">3I", header)
    sized = _SMALLEST_PAGE <= page <= _LARGEST_PAGE and page & (page - 1) == 0
    return (
        magic | 1 == _MAGIC | 1
        and sized
        and checksum(header[:24], (0, 0), swap=is_swapped(header)) == sums(header[24:])
    )


def is_swapped(header: bytes) -> bool:
    """Whether the checksums of this log are in the other order of bytes than this machine's."""
    return (header[3] & 1 == 0) != (sys.byteorder == "little")


def sums(content: bytes) -> tuple[int, int]:
    """A checksum as it stands in a log."""
    first, second = struct.unpack(">II", content[:8])
    return first, second


def checksum(content: bytes, seed: tuple[int, int], *, swap: bool) -> tuple[int, int]:
    """The checksum of `content` (a multiple of 8 bytes), going on from `seed`."""
    words = array("I", content)
    if swap:
        words.byteswap()
    first, second = seed
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
