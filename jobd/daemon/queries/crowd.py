"""All who wait for whatever happens: the more they are, the more they are told at a time.

Each of them costs a thread's turn, a request and an answer for whatever it is told. Two hundred
who watch a busy queue, told of each commit, would leave nothing of the processor to the jobs. So
the history goes out in steps: the first event at once, and those that follow together, 20 ms later
or 2.5 ms for each who waits. As all are told up to the same event, what is read and written for one
of them serves the others.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from jobd.daemon.jobs.notifier import Subscriber
from jobd.system.presence import Sleepers
from jobd.system.timer import Timer

_SHORTEST_S: Final = 0.02
"""Seconds between two steps."""
_EACH_S: Final = 0.0025
"""The same for each who waits, where these are more."""
_LONGEST_S: Final = 0.5


class Crowd(Subscriber):
    """Clients' threads wait; it subscribes to the notifier."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._newest = self._published = 0
        self._waiting = Sleepers()
        self._next_step = 0.0
        """On the monotonic clock; nobody is told before."""
        self._is_due = self._is_closed = False

    @property
    def newest(self) -> int:
        """The last event that all may know of by now."""
        return self._newest

    def wait(self, after: int, seconds: float) -> None:
        """Until `newest` is behind `after`, `seconds` at most.

        Raises: as `Sleepers.sleep_until` does.
        """
        self._waiting.sleep_until(lambda: self._newest > after or self._is_closed, seconds)

    # --- as a subscriber ------------------------------------------------------------------------

    def published(self, last_event: int) -> None:
        with self._lock:
            self._published = max(self._published, last_event)
            rest = self._next_step - time.monotonic()
            if rest <= 0:
                self._tell()
            elif not self._is_due:
                self._is_due = True
                self._timer.after(rest, self._step)

    def closed(self) -> None:
        with self._lock:
            self._is_closed = True
            self._tell()

    def _step(self) -> None:
        with self._lock:
            self._is_due = False
            self._tell()

    def _tell(self) -> None:
        self._newest, count = self._published, len(self._waiting)
        pause = max(_SHORTEST_S, min(count * _EACH_S, _LONGEST_S)) if count else 0.0
        self._next_step = time.monotonic() + pause
        self._waiting.wake()
