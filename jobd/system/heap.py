"""The memory that the C library keeps for the process when nobody needs it any more."""

from __future__ import annotations

import ctypes
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
