"""When a file was made: statx(2), which Python does not have."""

from __future__ import annotations

import ctypes
import struct
from typing import Final

_AT_EMPTY_PATH: Final = 0x1000
_STATX_BTIME: Final = 0x800
_BTIME_AT: Final = 80
"""Bytes before `stx_btime` in `struct statx`: seconds (64 bits), nanoseconds (32 bits)."""
_libc: Final = ctypes.CDLL(None, use_errno=True)


def birth_ns(descriptor: int) -> int | None:
    """Nanoseconds since the epoch; None: this file system does not keep it."""
    found = ctypes.create_string_buffer(256)
    if _libc.statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, found) != 0:
        return None
    (known,) = struct.unpack_from("I", found)
    if not known & _STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("qI", found, _BTIME_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
