"""The memory of this process: what the C library keeps of it, and how much it has been."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

_M_ARENA_MAX: Final = -8
"""Of <malloc.h>."""


def share_one_heap() -> None:
    """All threads have one heap (mallopt(3)); to be called before there are others.

    Else up to eight for each core, and each keeps what the largest answers of its threads took.
    Only one thread of Python's makes objects at a time, so they hardly ever wait for it. Nothing
    where the C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def own_peak_kb() -> int:
    """The most memory (KiB) that this process has had: what a new one counts as its own, too, when
    the kernel takes over its figure at the exec (getrusage(2), `ru_maxrss`).
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
