"""Named crash points: places where a test kills the process, to see what survives.

Off in production: without `JOBD_CRASH_AT` in the daemon's environment a point costs one look at
a global. `JOBD_CRASH_AT=after-spawn:2` kills the process with SIGKILL the second time it gets
there; the daemon that follows does not inherit it.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

VARIABLE: Final = "JOBD_CRASH_AT"
POINTS: Final = (
    "before-commit",
    "after-commit",
    "before-spawn",
    "after-spawn",
    "after-board",
    "before-finish",
    "before-reap",
    "after-reap",
    "before-reply",
    "after-reply",
    "recovering",
)


def _armed() -> tuple[str, int]:
    name, _, count = os.environ.pop(VARIABLE, "").partition(":")
    return name, int(count or 1)


_at, _left = _armed()
_lock: Final = threading.Lock()


def crash_point(name: str) -> None:
    if _at == name:
        _count_down()


def _count_down() -> None:
    global _left  # noqa: PLW0603 - one process, one countdown
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
