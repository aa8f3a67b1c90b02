"""Deadlines: one thread that sleeps until the next is due, for good when there is none."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from heapq import heappop, heappush

log = logging.getLogger(__name__)


class Timer:
    """On the monotonic clock, so that no jump of the wall clock moves a deadline."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()
        self._closed = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="timer", daemon=True).start()

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Call it at that time of `time.monotonic()`. It must be brief, and bear being late."""
        with self._lock:
            heappush(self._due, (when, next(self._number), action))
            self._lock.notify()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.at(time.monotonic() + seconds, action)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except Exception:
                log.exception("a timer's action failed")

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            while not self._closed:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    return heappop(self._due)[2]
                self._lock.wait(left)
        return None
