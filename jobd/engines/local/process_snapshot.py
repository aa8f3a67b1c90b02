"""One look at all processes of the machine, shared by everybody who asks for it meanwhile.

Reading /proc costs the more the more jobs run. When hundreds of them are stopped at once, each
looking for itself would take as long as the square of their number.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable
from typing import Final

from jobd.engines.local.gpus import Gpus
from jobd.system import linux
from jobd.system.linux import Stat

Known = Collection[tuple[int, int]]
"""Processes by pid and start time."""
_TOKEN: Final = b"JOBD_RUN="


def token_of(pid: int) -> bytes:
    """The JOBD_RUN in a process's environment, b"" where there is none or it is not ours."""
    return _token_in(_environment(pid) or b"")


def _environment(pid: int) -> bytes | None:
    """None: it is not ours to see, or it is gone. Raises: OSError, as `linux.stat_of`."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        if error.errno in linux.SHORTAGES:
            raise
        return None


def _token_in(environment: bytes) -> bytes:
    if environment.startswith(_TOKEN):
        start = 0
    elif (start := environment.find(b"\0" + _TOKEN) + 1) == 0:
        return b""
    return environment[start + len(_TOKEN) :].partition(b"\0")[0]


class Census:
    """The processes that lived at one time, and how they hang together."""

    def __init__(self, stats: Iterable[Stat]) -> None:
        self._living = {stat.pid: stat for stat in stats if stat.state not in "ZX"}
        self._children: dict[int, list[int]] = {}
        self._within: dict[int, set[int]] = {}
        """By session, and by process group."""
        self._carriers: dict[bytes, set[int]] = {}
        """By token."""
        for pid, stat in self._living.items():
            self._children.setdefault(stat.ppid, []).append(pid)
            for number in (stat.session, stat.pgrp):
                self._within.setdefault(number, set()).add(pid)
        # A process in the midst of execve(2) seems to have no environment for a moment.
        # Threads of the kernel have none, and no session either.
        ours = [pid for pid, stat in self._living.items() if stat.session]
        unknown = [pid for pid in ours if not self._note_token(pid)]
        for pid in unknown:
            self._note_token(pid)

    def _note_token(self, pid: int) -> bool:
        """Whether its environment could be seen."""
        environment = _environment(pid)
        if token := _token_in(environment or b""):
            self._carriers.setdefault(token, set()).add(pid)
        return environment != b""

    def members(self, token: str, leader: int | None, known: Known = ()) -> list[Stat]:
        """All living processes of a job.

        `leader`: the pid of its session's leader while that cannot be another's (alive or not
        reaped). `known`: who was found to be a member before, and is one for good.
        """
        mine = set(self._carriers.get(token.encode(), ()))
        if leader is not None:
            mine |= self._within.get(leader, set())
        mine.update(pid for pid, start in known if self._is(pid, start))
        mine |= self._descendants(mine)
        return [self._living[pid] for pid in sorted(mine - {os.getpid()})]

    def _is(self, pid: int, start: int) -> bool:
        stat = self._living.get(pid)
        return stat is not None and stat.start == start

    def _descendants(self, roots: Iterable[int]) -> set[int]:
        found: set[int] = set()
        new = list(roots)
        while new:
            fresh = {child for pid in new for child in self._children.get(pid, ())} - found
            found |= fresh
            new = list(fresh)
        return found


class _Round:
    def __init__(self) -> None:
        self.census: Census | None = None


class Survey:
    """Takes the census; those who ask while one is being taken share the next."""

    def __init__(self) -> None:
        self.gpus = Gpus()
        self._turn = threading.Lock()
        self._coming = _Round()

    def take(self) -> Census:
        """A census that began after this call. Raises: OSError (no descriptor is left)."""
        mine = self._coming
        with self._turn:
            if mine.census is None:
                # Who asks from here on might not be in this one.
                self._coming = _Round()
                mine.census = Census(linux.processes())
        return mine.census
