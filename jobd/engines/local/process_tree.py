"""Which processes belong to a job, and how to signal them without ever hitting another's.

A job's processes are those of its session or its group, those that carry its token in their
environment, and those that descend from such. One that sheds all of these before it was ever
seen is not followed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Final

from jobd.contract.ownership import login
from jobd.engines.base import Refusal
from jobd.engines.local.process_snapshot import Census, Survey
from jobd.system import linux
from jobd.system.linux import Stat

_LONGEST_POLL_S: Final = 3600.0
"""poll(2) takes its time in milliseconds, as an int."""
_KILL_PATIENCE: Final = 10.0
"""Seconds for killed processes to go away; one stuck in the kernel may never do."""
_REFUSED_S: Final = 1.0
"""Until the next look at what we may not signal."""
_UNNAMED: Final = re.compile(r"[^\w.+:@/-]")
"""What no program's name needs, and what a job could use to write into our sentences."""
_LOOK_AGAIN_S: Final = 0.5
"""After a KILL, the longest time until the next look for what has come since."""
_SLACK: Final = 64
"""Processes that have ended and may always be left in memory."""


class Family:
    """The processes of one job; who has been seen as one stays one."""

    def __init__(self, token: str, survey: Survey) -> None:
        self.token = token
        self._survey = survey
        self._known: set[tuple[int, int]] = set()

    def living(self, leader: int | None, census: Census | None = None) -> list[Stat]:
        """`leader`: see `Census.members`; without a census one is taken now."""
        known = tuple(self._known)
        found = (census or self._survey.take()).members(self.token, leader, known)
        self._known.update((stat.pid, stat.start) for stat in found)
        if len(known) > 2 * len(found) + _SLACK:
            # A job may have had any number of them, and be looked at for weeks.
            self._known.difference_update([one for one in known if not _lives(*one)])
        return found

    def end(self, leader: int | None, deadline: float) -> list[Stat]:
        """Wait for all of them to end, from `deadline` (monotonic) on with KILL.

        Gives what even KILL does not end within 10 s; and after a second whom nobody here may
        signal, if nobody else is left.
        """
        while (left := self.living(leader)) and time.monotonic() < deadline:
            wait_gone(left, deadline)
        patience = time.monotonic() + _KILL_PATIENCE
        while left and time.monotonic() < patience:
            send(left, signal.SIGKILL)
            refused = len(refusals(left)) == len(left)
            wait_gone(left, time.monotonic() + (_REFUSED_S if refused else _LOOK_AGAIN_S))
            left = self.living(leader)
            if refused:
                break
        return left


def refusals(targets: Iterable[Stat]) -> list[Refusal]:
    """Those that live and that we may not signal."""
    return [_refusal(stat) for stat in targets if _refuses(stat)]


def _refuses(target: Stat) -> bool:
    try:
        os.kill(target.pid, 0)
    except PermissionError:
        return _lives(target.pid, target.start)
    except OSError:
        return False
    return False


def _lives(pid: int, start: int) -> bool:
    """Whether it is there, and no other with its pid. Raises: OSError, as `linux.stat_of`."""
    now = linux.stat_of(pid)
    return now is not None and now.start == start and now.state not in "ZX"


def _refusal(target: Stat) -> Refusal:
    """It runs with the rights of another user (kill(2), EPERM), by a setuid program such as sudo:
    whose, by login or number, and the program's name, without spaces.
    """
    try:
        with open(f"/proc/{target.pid}/comm", "rb", buffering=0) as file:
            owner = login(os.fstat(file.fileno()).st_uid)
            name = file.read(64).decode("utf-8", "replace").strip()
    except OSError:
        owner, name = "another user", "?"
    program = _UNNAMED.sub("?", name) or "?"
    return Refusal(f"pid {target.pid} ({program}) belongs to {owner}")


def send(targets: Iterable[Stat], number: int) -> None:
    """Signal each by pidfd: a pid that meanwhile is another's is left alone."""
    for target in targets:
        with contextlib.suppress(OSError), _handle(target) as pidfd:
            signal.pidfd_send_signal(pidfd, number)


@contextlib.contextmanager
def _handle(target: Stat) -> Iterator[int]:
    """Raises: ProcessLookupError (it is gone, also if its pid is used again), OSError."""
    pidfd = os.pidfd_open(target.pid)
    try:
        now = linux.stat_of(target.pid)
        if now is None or now.start != target.start:
            raise ProcessLookupError
        yield pidfd
    finally:
        os.close(pidfd)


def wait_gone(targets: Iterable[Stat], until: float) -> bool:
    """Wait until all of them have ended or `until` (monotonic) has come; True: all have.

    One after the other, so that it takes one descriptor however many they are.
    """
    return all(_gone(target, until) for target in targets)


def _gone(target: Stat, until: float) -> bool:
    while (left := until - time.monotonic()) > 0:
        try:
            with _handle(target) as pidfd:
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                if poll.poll(min(left, _LONGEST_POLL_S) * 1000):
                    return True
        except ProcessLookupError:
            return True
        except OSError:
            time.sleep(min(left, _LOOK_AGAIN_S))  # no descriptor is left just now
    return False
