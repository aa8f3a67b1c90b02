"""Which processes belong to a job, and how to signal them without ever hitting another's.

A job's processes are those of its session or its group, those that carry its token in their
environment, and those that descend from such. One that sheds all of these is not followed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from typing import Final

from jobd import kernel
from jobd.kernel import Stat

_LONGEST_POLL_S: Final = 3600.0
"""poll(2) takes its time in milliseconds, as an int."""
_KILL_PATIENCE: Final = 10.0
"""Seconds for killed processes to go away; one stuck in the kernel may never do."""


def token_of(pid: int) -> bytes:
    """The JOBD_RUN in a process's environment, b"" where there is none or it is not ours."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except OSError:
        return b""
    for entry in content.split(b"\0"):
        if entry.startswith(b"JOBD_RUN="):
            return entry[9:]
    return b""


def find(token: str, leader: int | None) -> list[Stat]:
    """All living processes of a job.

    `leader`: the pid of its session's leader while that cannot be another's (alive or not reaped).
    """
    wanted = token.encode()
    living = {stat.pid: stat for stat in kernel.processes() if stat.state not in "ZX"}
    mine = {
        pid
        for pid, stat in living.items()
        if (leader is not None and leader in (stat.session, stat.pgrp)) or token_of(pid) == wanted
    }
    mine |= _descendants(mine, living)
    return [living[pid] for pid in sorted(mine - {os.getpid()})]


def _descendants(roots: set[int], living: dict[int, Stat]) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in living.values():
        children.setdefault(stat.ppid, []).append(stat.pid)
    found: set[int] = set()
    new = list(roots)
    while new:
        fresh = [child for pid in new for child in children.get(pid, ()) if child not in found]
        found.update(fresh)
        new = fresh
    return found


def send(targets: Iterable[Stat], number: int) -> None:
    """Signal each by pidfd: a pid that meanwhile is another's is left alone."""
    for target in targets:
        with contextlib.suppress(OSError), _handle(target) as pidfd:
            signal.pidfd_send_signal(pidfd, number)


@contextlib.contextmanager
def _handle(target: Stat):  # type: ignore[no-untyped-def]  # noqa: ANN202
    pidfd = os.pidfd_open(target.pid)
    try:
        now = kernel.stat_of(target.pid)
        if now is None or now.start != target.start:
            raise ProcessLookupError
        yield pidfd
    finally:
        os.close(pidfd)


def wait_gone(targets: Iterable[Stat], until: float) -> bool:
    """Wait until one of them has ended or `until` (monotonic) has come; True: one has."""
    poll = select.poll()
    descriptors: list[int] = []
    try:
        for target in targets:
            try:
                descriptors.append(os.pidfd_open(target.pid))
            except ProcessLookupError:
                return True
            except OSError:
                break
            poll.register(descriptors[-1], select.POLLIN)
        left = min(max(0.0, until - time.monotonic()), _LONGEST_POLL_S)
        return bool(poll.poll(left * 1000))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def end_all(token: str, leader: int | None, deadline: float) -> list[Stat]:
    """Wait for all processes of a job to end, from `deadline` (monotonic) on with KILL.

    What even KILL does not end within 10 s is returned.
    """
    while (left := find(token, leader)) and time.monotonic() < deadline:
        wait_gone(left, deadline)
    patience = time.monotonic() + _KILL_PATIENCE
    while left and time.monotonic() < patience:
        send(left, signal.SIGKILL)
        wait_gone(left, patience)
        left = find(token, leader)
    return left
