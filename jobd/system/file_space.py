"""The room that a file takes on the disk: allocated before it is needed, and given back."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_FALLOC_FL_KEEP_SIZE: Final = 0x01
_FALLOC_FL_PUNCH_HOLE: Final = 0x02
"""Of <linux/falloc.h>."""


def punch_hole(descriptor: int, offset: int, length: int) -> None:
    """fallocate(2): these bytes become zeros and take no space; the file stays as long as it is.

    Raises: OSError (EOPNOTSUPP: the file system has no holes).
    """
    _fallocate(descriptor, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, offset, length)


def _fallocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
    while fallocate(descriptor, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def allocate(descriptor: int, offset: int, length: int) -> None:
    """fallocate(2): blocks for these bytes, which nobody else can then take; also behind the end of
    the file, which stays as long as it is.

    Raises: OSError (ENOSPC, EDQUOT: there are not so many; EOPNOTSUPP: the file system cannot).
    """
    _fallocate(descriptor, _FALLOC_FL_KEEP_SIZE, offset, length)
