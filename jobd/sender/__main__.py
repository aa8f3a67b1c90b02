"""The process that delivers one message: `python -S jobd/sender/__main__.py`, its order on stdin.

The order is JSON: `limit` (seconds), `argv` or `url`, `title`, `body`, `kind`, `input` (for the
program's stdin), `variables` (set in addition), `environment` (in the place of the daemon's own, or
null) and `cwd`. Exit code 0: delivered; 1: not, and stderr says why, as JSON: `exit_code` of the
program (below 0: its signal) or null, and `said`.

A process of its own, so that a program or a library that hangs or breaks holds nobody up. It ends
itself, and all that it has started, when its time is up: the daemon may have died meanwhile. It
leads its process group, and is no session leader: as an orphan the supervisor lets it go at once.

There is one a message, so it is as quick to start as it can be: without `site`, and with little of
the standard library, unless Apprise is needed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

_SAID = 2000
"""Characters of what is said of it: the end of it."""

Outcome = tuple[int | None, str]
"""Exit code of a program (0: it was delivered), and what it said."""


def main() -> int:
    # The daemon's threads have signals blocked, and a child inherits that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    order: dict[str, Any] = json.load(sys.stdin.buffer)
    if order["argv"]:
        # Otherwise they end this process at once, in whatever library it hangs.
        for number in (signal.SIGALRM, signal.SIGTERM):
            signal.signal(number, lambda *_: os.killpg(0, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, order["limit"])
    if order["environment"] is not None:
        os.environ.clear()
        os.environ.update(order["environment"])
    os.environ.update(order["variables"])
    code, said = _run(order) if order["argv"] else _notify(order)
    if code == 0:
        return 0
    os.write(2, json.dumps({"exit_code": code, "said": said[-_SAID:]}).encode())
    return 1


def _run(order: dict[str, Any]) -> Outcome:
    """A program, to its end.

    Its stdin and its output are files without a name, no pipes: one that reads nothing does not
    fail for that, and whatever it leaves behind keeps nobody waiting.
    """
    given, said = os.memfd_create("given"), os.memfd_create("said")
    with open(given, "wb", closefd=False) as file:
        file.write(order["input"].encode())
    os.lseek(given, 0, os.SEEK_SET)
    actions = [
        (os.POSIX_SPAWN_DUP2, source, to) for source, to in ((given, 0), (said, 1), (said, 2))
    ]
    argv = order["argv"]
    try:
        os.chdir(order["cwd"] or "/")
        # This interpreter ignores SIGPIPE; the program is not to.
        pid = os.posix_spawnp(
            argv[0], argv, os.environ, file_actions=actions, setsigdef=[signal.SIGPIPE]
        )
    except OSError as error:
        return None, f"{error.filename or argv[0]}: {(error.strerror or str(error)).lower()}"
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end = os.lseek(said, 0, os.SEEK_END)
    return code, os.pread(said, _SAID, max(0, end - _SAID)).decode("utf-8", "replace").strip()


def _notify(order: dict[str, Any]) -> Outcome:
    """A URL, for which all that is installed is needed."""
    import site

    site.main()
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from jobd.sender import urls

    wrong = urls.notify(order["url"], order["title"], order["body"], order["kind"])
    return (None if wrong else 0), wrong


if __name__ == "__main__":
    sys.exit(main())
