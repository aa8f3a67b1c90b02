"""Looks at what attempts have written, far more often than Slurm is asked.

In a thread that is there while there are any. Who has just come, or just begun, may end soon and is
looked at often, the older the more rarely; the more there are, the more rarely each, so that a file
server has no more to do for many than for some.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from jobd.engines.slurm.process import SlurmProcess

log = logging.getLogger(__name__)
_SHORTEST_S: Final = 0.02
_EACH_S: Final = 0.002
"""The pause is as long for each that is watched: so often at most is the file server asked."""
_LONGEST_S: Final = 1.0
_EACH_OLD_S: Final = 0.02
"""The same where all are old."""
_QUIET: Final = 0.05
"""The pause before one is looked at again is this part of the time since it came, or began."""


class Glances:
    """Any thread may call."""

    def __init__(self, glance: Callable[[SlurmProcess], object]) -> None:
        """`glance`: called again and again with each that is not over; it says so where one is."""
        self._glance = glance
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, float, SlurmProcess]] = []
        """When each is to be looked at, the earliest first; a number; since when it is there."""
        self._numbers = count()
        self._wakes_at = 0.0
        """When the thread looks again by itself."""
        self._looking = self._closed = False

    def add(self, process: SlurmProcess) -> None:
        now = time.monotonic()
        with self._changed:
            due = now + max(_SHORTEST_S, len(self._due) * _EACH_S)
            self._push(process, now, due)
            if due < self._wakes_at:
                self._changed.notify_all()
            if not (self._looking or self._closed):
                self._looking = True
                threading.Thread(target=self._run, name="slurm ends", daemon=True).start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while looked_at := self._waited():
            for process, _ in looked_at:
                try:
                    self._glance(process)
                except OSError as error:
                    log.warning("Slurm job %d: %s", process.number, error)
                except Exception:
                    log.exception("Slurm job %d cannot be looked at just now", process.number)
            self._come_again(looked_at)

    def _waited(self) -> list[tuple[SlurmProcess, float]]:
        """Those whose turn it is, with since when they are there; none: there is nobody left."""
        with self._changed:
            while self._due:
                now = time.monotonic()
                # Those that come soon are looked at with them: the thread wakes up once for all.
                if self._due[0][0] <= now:
                    found = []
                    while self._due and self._due[0][0] <= now + _SHORTEST_S / 2:
                        _, _, since, process = heapq.heappop(self._due)
                        found.append((process, since))
                    return found
                self._wakes_at = self._due[0][0]
                self._changed.wait(self._wakes_at - now)
                self._wakes_at = 0.0
            self._looking = False
            return []

    def _come_again(self, looked_at: list[tuple[SlurmProcess, float]]) -> None:
        going_on = [(process, since) for process, since in looked_at if not process.is_over]
        with self._changed:
            if self._closed:
                return
            now = time.monotonic()
            many = len(self._due) + len(going_on)
            for process, since in going_on:
                age = min(now - since, process.age() or now - since)
                self._push(process, since, now + _pause(age, many))

    def _push(self, process: SlurmProcess, since: float, due: float) -> None:
        heapq.heappush(self._due, (due, next(self._numbers), since, process))


def _pause(age: float, many: int) -> float:
    """Seconds until one of so many, that many seconds old, is looked at again."""
    shortest = max(_SHORTEST_S, many * _EACH_S)
    longest = max(_LONGEST_S, many * _EACH_OLD_S)
    return min(max(shortest, age * _QUIET), longest)
