"""Who waits for news: threads of clients, woken when what they wait for has happened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Waiter:
    """Waits for some of a set of jobs to finish."""

    def __init__(self, jobs: set[int], *, any_one: bool) -> None:
        self.left = jobs
        self._any = any_one
        self._done = threading.Event()

    def finished(self, job: int) -> None:
        self.left.discard(job)
        if self._any or not self.left:
            self._done.set()

    def wait(self, seconds: float) -> bool:
        return self._done.wait(seconds)


class Hub:
    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiters: dict[int, list[Waiter]] = {}
        self._last_event = 0
        self._stirred = 0
        self._closed = False
        self.on_finish: Callable[[], object] = lambda: None
        """Called whenever a job has finished; brief."""
        self.on_events: Callable[[int], object] = lambda _last: None
        """Called with the number of the last event on disk; brief."""

    # --- jobs that finish ---------------------------------------------------------------------

    def register(self, jobs: Iterable[int], *, any_one: bool = False) -> Waiter:
        """Before looking at their states, so that no end slips through in between."""
        waiter = Waiter(set(jobs), any_one=any_one)
        with self._lock:
            for job in waiter.left:
                self._waiters.setdefault(job, []).append(waiter)
        return waiter

    def unregister(self, waiter: Waiter, jobs: Iterable[int]) -> None:
        with self._lock:
            for job in jobs:
                waiters = self._waiters.get(job)
                if waiters and waiter in waiters:
                    waiters.remove(waiter)
                    if not waiters:
                        del self._waiters[job]

    def awaited(self, job: int) -> bool:
        return job in self._waiters

    def finished(self, job: int) -> None:
        self.on_finish()
        if job not in self._waiters:
            return
        with self._lock:
            for waiter in self._waiters.get(job, ()):
                waiter.finished(job)

    # --- events -------------------------------------------------------------------------------

    @property
    def last_event(self) -> int:
        return self._last_event

    def published(self, last_event: int) -> None:
        """Events up to this one are on disk."""
        with self._lock:
            self._last_event = max(self._last_event, last_event)
            self._lock.notify_all()
        self.on_events(last_event)

    def wait_event(self, after: int, seconds: float) -> bool:
        """Wait until there is an event behind `after`; False: there is none yet."""
        with self._lock:
            self._lock.wait_for(lambda: self._last_event > after or self._closed, seconds)
            return self._last_event > after

    def close(self) -> None:
        """Let everybody go."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
