"""Compressed outputs: zstd in frames, so that any piece of them is read without the rest.

`JOB.ATTEMPT.log.zst` lies in the place of `JOB.ATTEMPT.log`, and holds the very same bytes, in
the seekable format of zstd (contrib/seekable_format in its sources): frames of a megabyte each,
with checksums, and behind them a frame that other programs pass over, with the lengths of all.
`zstdcat` reads it, too. The library is needed to pack and to read; how long the content is, the
lengths say.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from types import ModuleType
from typing import BinaryIO, Final

from jobd.contract.directories import File
from jobd.contract.distribution import how_to_get
from jobd.contract.errors import Refused, StoreFailed
from jobd.outputs.limit import Cut, cut_of

FRAME: Final = 1024 * 1024
"""Bytes of content in a frame."""
SUFFIX: Final = ".zst"
UNFINISHED: Final = ".zst.new"
"""What is being written; of no use to anybody when it is left over."""
_LEVEL: Final = 3
_BLOCK: Final = 4096
"""Of what takes no more on the disk, nothing can be saved."""
_GAIN: Final = 0.9
"""What its first frame does not become smaller than stays as it is."""
_SKIPPABLE: Final = 0x184D2A5E
_SEEKABLE: Final = 0x8F92EAB1
_HEAD: Final = struct.Struct("<II")
"""Of the frame of lengths: its magic number, and its length without these eight bytes."""
_ENTRY: Final = struct.Struct("<II")
"""Bytes of a frame, compressed and not."""
_FOOT: Final = struct.Struct("<IBI")
"""How many there are, flags (none), and the magic number that ends the file."""


def packed_of(file: File) -> File:
    """Where an output lies once it is compressed."""
    return file.beside(file.name + SUFFIX)


def leftovers_of(file: File) -> tuple[File, File]:
    """What packing may leave beside an output, whole and unfinished."""
    return packed_of(file), file.beside(file.name + UNFINISHED)


def _zstd() -> ModuleType:
    """Raises: Refused (it is not installed)."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise Refused(
            f"compressed output needs a library that is not installed: {how_to_get('zstd')}"
        ) from error
    return zstd


# --- writing --------------------------------------------------------------------------------------


def write_packed(file: File, descriptor: int) -> bool:
    """Write the content of an output beside it, as the whole file on the disk under its last name.

    `descriptor`: of the output. False: it would not become smaller, and nothing is left of it.

    Raises: Refused (no library), OSError.
    """
    found = os.fstat(descriptor)
    if found.st_blocks * 512 <= _BLOCK:
        return False
    packed, fresh = leftovers_of(file)
    try:
        with open(fresh.make(os.O_WRONLY | os.O_TRUNC), "wb") as to:
            if not _write(to, descriptor, found.st_size, cut_of(file)):
                fresh.unlink()
                return False
            to.flush()
            os.utime(to.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(to.fileno())
    except (OSError, Refused):
        # Perhaps for want of space; then the fresh file may not even have been made.
        with suppress(FileNotFoundError):
            fresh.unlink()
        raise
    fresh.replace(packed.name)
    file.directory.sync()
    return True


def _write(to: BinaryIO, descriptor: int, size: int, cut: Cut | None) -> bool:
    """Frames, then their lengths; False: it is not worth the while."""
    lengths = array("I")
    for number, (content, frame) in enumerate(_frames(descriptor, size, cut)):
        if number == 0 and len(frame) > _GAIN * content:
            return False
        to.write(frame)
        lengths.extend((len(frame), content))
    count = len(lengths) // 2
    table = b"".join(_ENTRY.pack(*lengths[at : at + 2]) for at in range(0, 2 * count, 2))
    to.write(_HEAD.pack(_SKIPPABLE, len(table) + _FOOT.size))
    to.write(table + _FOOT.pack(count, 0, _SEEKABLE))
    return True


def _frames(descriptor: int, size: int, cut: Cut | None) -> Iterator[tuple[int, bytes]]:
    """The length of a piece of content, and its frame."""
    zstd = _zstd()
    kinds = zstd.CompressionParameter
    options = {kinds.compression_level: _LEVEL, kinds.checksum_flag: 1}
    zeros = zstd.compress(bytes(FRAME), options=options)
    for at in range(0, size, FRAME):
        if cut is not None and cut.start <= at and at + FRAME <= min(cut.end, size):
            # What --max-output has cut may be terabytes, and is nothing.
            yield FRAME, zeros
            continue
        content = _read_whole(descriptor, min(FRAME, size - at), at)
        yield len(content), zstd.compress(content, options=options)


def _read_whole(descriptor: int, count: int, offset: int) -> bytes:
    """Raises: OSError (it has become shorter)."""
    pieces, left = [], count
    while left:
        piece = os.pread(descriptor, left, offset + count - left)
        if not piece:
            raise OSError(0, "it has become shorter while it was read")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


# --- reading --------------------------------------------------------------------------------------


class Packed:
    """A compressed output, open for reading; its owner closes the descriptor."""

    def __init__(self, descriptor: int, path: str) -> None:
        """`path`: for people. Raises: StoreFailed (it is damaged), OSError."""
        self._descriptor = descriptor
        self._path = path
        lengths = self._lengths()
        self._starts = [0, *accumulate(lengths[0::2])]
        self._begins = [0, *accumulate(lengths[1::2])]
        self._last: tuple[int, bytes] = (-1, b"")
        """The frame that was read last, and its content."""

    def size(self) -> int:
        """Of its content."""
        return self._begins[-1]

    def pread(self, count: int, offset: int) -> bytes:
        """As much of its content as is there. Raises: StoreFailed, Refused, OSError."""
        end = min(self.size(), offset + count)
        pieces = []
        while offset < end:
            frame = bisect_right(self._begins, offset) - 1
            begin = self._begins[frame]
            piece = self._content(frame)[offset - begin : end - begin]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _content(self, frame: int) -> bytes:
        if self._last[0] != frame:
            self._last = frame, self._unpacked(frame)
        return self._last[1]

    def _unpacked(self, frame: int) -> bytes:
        zstd = _zstd()
        start, size = self._starts[frame], self._begins[frame + 1] - self._begins[frame]
        raw = os.pread(self._descriptor, self._starts[frame + 1] - start, start)
        try:
            content: bytes = zstd.ZstdDecompressor().decompress(raw, max_length=size + 1)
        except (zstd.ZstdError, EOFError) as error:
            raise self._damaged() from error
        if len(content) != size:
            raise self._damaged()
        return content

    def _lengths(self) -> list[int]:
        whole = os.fstat(self._descriptor).st_size
        foot = os.pread(self._descriptor, _FOOT.size, max(0, whole - _FOOT.size))
        if len(foot) < _FOOT.size:
            raise self._damaged()
        count, flags, magic = _FOOT.unpack(foot)
        table = count * _ENTRY.size
        start = whole - _FOOT.size - table
        if magic != _SEEKABLE or flags or start < _HEAD.size:
            raise self._damaged()
        raw = os.pread(self._descriptor, _HEAD.size + table, start - _HEAD.size)
        lengths = [length for entry in _ENTRY.iter_unpack(raw[_HEAD.size :]) for length in entry]
        is_whole = raw.startswith(_HEAD.pack(_SKIPPABLE, table + _FOOT.size))
        is_whole &= sum(lengths[0::2]) == start - _HEAD.size
        if not is_whole or not all(0 < content <= FRAME for content in lengths[1::2]):
            raise self._damaged()
        return lengths

    def _damaged(self) -> StoreFailed:
        return StoreFailed(
            f"the compressed output {self._path} is damaged; put it back from a backup if you have "
            "one"
        )


def content_size(descriptor: int) -> int | None:
    """How long the content of a compressed output is; None: it is damaged. Raises: OSError."""
    try:
        return Packed(descriptor, "").size()
    except StoreFailed:
        return None
