"""Named crash points: places where a test kills daemon, supervisor or both, to see what survives.

Off in production: without `JOBD_CRASH_AT` in the environment a point costs one look at a global.
The variable names a file that holds `POINT[:COUNT[:WHO]]`: the COUNTth time that somebody gets to
POINT, WHO (`daemon`, `supervisor` or `both`; else the process itself) is killed with SIGKILL, and
the file is gone: it happens once, whoever inherits the variable.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Final

from jobd.system import linux

VARIABLE: Final = "JOBD_CRASH_AT"
POINTS: Final = {
    "daemon": (
        "before-commit",
        "after-commit",
        "before-spawn",
        "after-spawn",
        "after-run-table",
        "before-signal",
        "after-signal",
        "before-finish",
        "before-reap",
        "after-reap",
        "before-reply",
        "after-reply",
        "recovering",
        "recovered",
        "closed",
        "orphaned",
        "before-exec",
        "message-read",
        "message-noted",
        "message-taken",
        "message-sent",
        "message-recorded",
    ),
    "supervisor": (
        "before-daemon",
        "after-daemon",
        "ready",
        "before-announce",
        "after-announce",
        "before-let-go",
        "after-let-go",
        "daemon-died",
        "before-gate",
        "after-gate",
        "before-renew",
        "after-exec",
    ),
    "slurm": (
        "before-submit",
        "after-submit",
        "after-note",
        "after-release",
    ),
}
"""Whose code they stand in; `slurm` is the engine, in the daemon. With `closed` and those up to
`before-exec` one daemon makes way for the next.
"""
WHO: Final = ("daemon", "supervisor", "both")
_ROLES: Final = {b"jobd.daemon": "daemon", b"jobd.supervisor": "supervisor"}


def _read() -> tuple[str, int, str]:
    """Point, count and who; no point where nothing is armed."""
    try:
        with open(os.environ[VARIABLE], encoding="ascii") as fuse:
            name, count, who = (*fuse.read().strip().split(":"), "1", "")[:3]
    except (KeyError, OSError):
        return "", 0, ""
    return name, int(count), who if who in WHO else ""


_at: Final = _read()[0]
_lock: Final = threading.Lock()


def failpoint(name: str) -> None:
    if _at == name:
        _count_down()


def _count_down() -> None:
    """The count stays in the file, so that it goes on in the process that follows."""
    with _lock:
        name, count, who = _read()
        if count > 1:
            with open(os.environ[VARIABLE], "w", encoding="ascii") as fuse:
                fuse.write(f"{name}:{count - 1}:{who}")
        elif count == 1:
            os.unlink(os.environ[VARIABLE])
            _kill(who)


def _kill(who: str) -> None:
    """Oneself last. Parent and children are looked at closely: nobody else is ever hit."""
    me = os.getpid()
    near = [os.getppid(), *(child.pid for child in linux.children_of(me))]
    others = [pid for pid in near if _role(pid) and (who == "both" or _role(pid) == who)]
    for pid in others:
        os.kill(pid, signal.SIGKILL)
        while (stat := linux.stat_of(pid)) is not None and stat.state not in "ZX":
            time.sleep(0.001)
    if who in ("", "both") or _role(me) == who:
        os.kill(me, signal.SIGKILL)


def _role(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return ""
    return next((role for module, role in _ROLES.items() if module in words), "")
