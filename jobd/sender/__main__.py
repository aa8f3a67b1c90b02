"""The process that delivers one message: `python -m jobd.sender`, with the order on its stdin.

The order is JSON: `limit` (seconds), `argv` or `url`, `title`, `body`, `kind`, `input` (for the
program's stdin), `variables` (set in addition), `environment` (in the place of the daemon's own, or
null) and `cwd`. Exit code 0: delivered; 1: not, and stderr says why.

A process of its own, so that a program or a library that hangs or breaks holds nobody up. It ends
itself, and all that it has started, when its time is up: the daemon may have died meanwhile. It
leads its process group, and is no session leader: as an orphan the supervisor lets it go at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any, Final

from jobd.sender import programs

_REASON: Final = 2000
"""Characters that are told of why it was not delivered: the end of it."""


def main() -> int:
    # The daemon's threads have signals blocked, and a child inherits that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    order: dict[str, Any] = json.load(sys.stdin.buffer)
    if order.get("argv"):
        # Otherwise they end this process at once, in whatever library it hangs.
        for number in (signal.SIGALRM, signal.SIGTERM):
            signal.signal(number, lambda *_: os.killpg(0, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, order["limit"])
    if order.get("environment") is not None:
        os.environ.clear()
        os.environ.update(order["environment"])
    os.environ.update(order["variables"])
    wrong = _deliver(order)
    with contextlib.suppress(OSError):
        os.write(2, wrong[-_REASON:].encode("utf-8", "replace"))
    return 1 if wrong else 0


def _deliver(order: dict[str, Any]) -> str:
    """Why it was not delivered; empty: it was."""
    if order.get("argv"):
        return programs.run(order["argv"], order["input"].encode(), order.get("cwd") or "/")
    from jobd.sender import urls

    return urls.notify(order["url"], order["title"], order["body"], order["kind"])


if __name__ == "__main__":
    sys.exit(main())
