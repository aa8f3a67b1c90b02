"""Waiting for a daemon that was told to leave: what keeps it, and what it leaves behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import Job, List, Selector
from jobd.contract.paths import Paths, connect, is_supervised
from jobd.contract.states import State, how_to_end, unending_of
from jobd.system import linux

_LOOK_FIRST: Final = 0.5
_LOOK_EVERY: Final = 2.0
"""Seconds until whoever waits for a stop asks what keeps it."""
_RUNNING: Final = List(selector=Selector(states=[State.RUNNING]), limit=200)
Tell = Callable[[str], object]
"""Hears what a person should know of what was found and done."""


def wait_gone(paths: Paths, tell: Tell, unending: Callable[[Job], object]) -> None:
    """Block until supervisor and daemon have ended: then the lock is free.

    `tell` hears what keeps them from it, such as a full disk, and `unending` of each job that
    cannot be ended.
    """
    gone = threading.Event()
    about = (paths, tell, unending, gone)
    threading.Thread(target=_tell_trouble, args=about, daemon=True).start()
    try:
        while not _is_free(paths.lock) and _listens(paths):
            # Somebody has deleted the lock; the daemon makes another one soon.
            time.sleep(0.1)
    finally:
        gone.set()


def lives_on(job: Job) -> bool:
    """Whether something of it lives that could not be ended."""
    return any(linux.stat_of(pid) is not None for pid in unending_of(job.reason))


def _is_free(path: Path) -> bool:
    """Once nobody holds it any more; False: what was held is not what lies there now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _listens(paths: Paths) -> bool:
    try:
        connect(paths.socket).close()
    except JobdError:
        return is_supervised(paths.socket)
    return True


def _tell_trouble(
    paths: Paths, tell: Tell, unending: Callable[[Job], object], gone: threading.Event
) -> None:
    """Each trouble once."""
    told: set[str | int | None] = {None}
    pause = _LOOK_FIRST
    while not gone.wait(pause):
        pause = _LOOK_EVERY
        with contextlib.suppress(JobdError), Client(paths.socket) as client:
            error = client.status().error
            if error not in told and not gone.is_set():
                told.add(error)
                tell(str(error))
            for job in client.list(_RUNNING).jobs:
                if job.id not in told and how_to_end(job.reason) is not None:
                    told.add(job.id)
                    unending(job)
