"""Looks at what packed attempts have written, far more often than Slurm is asked.

In a thread that is there while there are any; the longer nothing begins or ends, the more rarely.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from jobd.engines.slurm.process import SlurmProcess

log = logging.getLogger(__name__)
_SHORTEST_S: Final = 0.02
_EACH_S: Final = 0.0005
"""The pause is as long for each that is watched: so often at most is the file server asked."""
_LONGEST_S: Final = 1.0
_QUIET: Final = 0.05
"""The pause is this part of the time in which nothing has begun or ended."""


class Glances:
    """Any thread may call."""

    def __init__(self, glance: Callable[[SlurmProcess], object]) -> None:
        """`glance`: called again and again with each that is not over; it says so where one is."""
        self._glance = glance
        self._changed = threading.Condition()
        self._watched: list[SlurmProcess] = []
        self._happened = 0.0
        self._looking = self._closed = False

    def add(self, process: SlurmProcess) -> None:
        with self._changed:
            self._watched.append(process)
            self._happened = time.monotonic()
            self._changed.notify_all()
            if not (self._looking or self._closed):
                self._looking = True
                threading.Thread(target=self._run, name="slurm packs", daemon=True).start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._watched.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while watched := self._waited():
            for process in watched:
                try:
                    self._glance(process)
                except OSError as error:
                    log.warning("Slurm job %d: %s", process.number, error)
                except Exception:
                    log.exception("Slurm job %d cannot be looked at just now", process.number)

    def _waited(self) -> list[SlurmProcess]:
        with self._changed:
            going_on = [one for one in self._watched if not one.is_over]
            now = time.monotonic()
            if len(going_on) < len(self._watched):
                self._happened = now
            self._watched = going_on
            shortest = max(_SHORTEST_S, len(going_on) * _EACH_S)
            pause = min(max(shortest, (now - self._happened) * _QUIET), _LONGEST_S)
            happened = self._happened
            self._changed.wait_for(lambda: self._closed, shortest)
            self._changed.wait_for(
                lambda: self._closed or self._happened > happened, pause - shortest
            )
            self._looking = bool(self._watched)
            return list(self._watched)
