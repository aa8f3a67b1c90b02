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
import select
import signal
import sys
from typing import Any

_SAID = 2000
"""Characters of what is said of it: the end of it."""
_PIPE = 1 << 16
"""Bytes that a pipe holds."""
_MEMORY = 1 << 30
"""Bytes of address space that Apprise may take."""

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
    report = os.dup(2)
    code, said = _run(order) if order["argv"] else _notify(order)
    if code == 0:
        return 0
    os.write(report, json.dumps({"exit_code": code, "said": said[-_SAID:]}).encode())
    return 1


def _run(order: dict[str, Any]) -> Outcome:
    """A program, to its end.

    Its stdin is a file without a name, no pipe: one that reads nothing does not fail for that.
    """
    given, (said, into) = os.memfd_create("given"), os.pipe()
    with open(given, "wb", closefd=False) as file:
        file.write(order["input"].encode())
    os.lseek(given, 0, os.SEEK_SET)
    actions = [
        (os.POSIX_SPAWN_DUP2, source, to) for source, to in ((given, 0), (into, 1), (into, 2))
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
    os.close(into)
    end = _said_until_end(pid, said)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, end.decode("utf-8", "replace").strip()


def _said_until_end(pid: int, pipe: int) -> bytes:
    """The end of what the program says. All of it is read, and nothing kept: it may be endless.
    What the program leaves behind may hold the pipe, and is not waited for.
    """
    ended, end = os.pidfd_open(pid), b""
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.register(pipe, select.POLLIN)
    while ended not in {number for number, _ in waiting.poll()}:
        piece = os.read(pipe, _PIPE)
        end = (end + piece)[-_SAID:]
        if not piece:
            waiting.unregister(pipe)
    os.set_blocking(pipe, False)
    try:
        return (end + os.read(pipe, _PIPE))[-_SAID:]
    except BlockingIOError:
        return end


def _notify(order: dict[str, Any]) -> Outcome:
    """A URL, for which all that is installed is needed."""
    import resource
    import site

    # Whatever a library prints is no part of the report; and a receiver may answer without end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    site.main()
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from jobd.sender import urls

    wrong = urls.notify(order["url"], order["title"], order["body"], order["kind"])
    return (None if wrong else 0), wrong


if __name__ == "__main__":
    sys.exit(main())
