"""Who holds the lock of an instance: asked of the kernel, never of a pid that a file names.

The lock belongs to an open file that supervisor and daemon share, so whoever has that file open
and locked is one of the two (proc_pid_fdinfo(5)). Each is kept by a handle that was opened before
it was looked at: a pid that is used anew is never hit.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobd import kernel

_SUPERVISOR: Final = b"jobd.supervisor"
_PROGRAMS: Final = (_SUPERVISOR, b"jobd.daemon")


class Holder(NamedTuple):
    """One of the processes of a running instance."""

    pid: int
    parent: int
    supervises: bool
    halted: bool
    """SIGSTOP, or a debugger's doing."""
    plan: dict[str, Any]
    """What it was started with."""
    pidfd: int

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self, patience: float) -> bool:
        """KILL; whether it has ended within so many seconds."""
        self.send(signal.SIGKILL)
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(int(patience * 1000)))


@contextmanager
def holders(lock: Path) -> Iterator[list[Holder]]:
    """Those that can be seen, parents first."""
    with ExitStack() as stack:
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            holder = _holder(int(name), lock)
            if holder is not None:
                stack.callback(os.close, holder.pidfd)
                found.append(holder)
        pids = {holder.pid for holder in found}
        yield sorted(found, key=lambda holder: holder.parent in pids)


def _holder(pid: int, lock: Path) -> Holder | None:
    if not _holds(pid, lock):
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    # Once more, now that the pid cannot become another's unseen.
    known, stat = _program(pid), None
    with contextlib.suppress(OSError):
        stat = kernel.stat_of(pid)
    if known is None or stat is None or not _holds(pid, lock):
        os.close(pidfd)
        return None
    program, plan = known
    return Holder(pid, stat.ppid, program == _SUPERVISOR, stat.state in "Tt", plan, pidfd)


def _program(pid: int) -> tuple[bytes, dict[str, Any]] | None:
    """Which of the two it is, and its plan."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        for program, plan in pairwise(words):
            if program in _PROGRAMS:
                return program, json.loads(plan)
    except (OSError, ValueError):
        return None
    return None


def _holds(pid: int, lock: Path) -> bool:
    try:
        wanted = lock.stat()
        for name in os.listdir(f"/proc/{pid}/fd"):
            found = os.stat(f"/proc/{pid}/fd/{name}")
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                locks = Path(f"/proc/{pid}/fdinfo/{name}").read_text("ascii")
                return "FLOCK" in locks and "WRITE" in locks
    except OSError:
        return False
    return False
