"""Who is told of news: threads of clients that wait for it, and parts of the daemon that listen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from jobd.system.presence import Sleeper, Sleepers


class Waiter(Sleeper):
    """Waits until one of some jobs has finished."""

    def __init__(self, concerns: Callable[[int], bool], job: int | None = None) -> None:
        super().__init__()
        self.concerns = concerns
        self.job = job
        """The only one, if it is one."""
        self._is_dismissed = False

    def dismiss(self) -> None:
        """Nothing will happen any more."""
        self._is_dismissed = True
        self.wake()

    def wait(self, seconds: float) -> bool:
        """Whether one of its jobs has finished. Raises: as `sleep` does."""
        return self.sleep(seconds) and not self._is_dismissed


class Subscriber:
    """A part of the daemon that subscribes; it takes up what it wants to hear.

    Each is called by the thread that brings the news, often the writer's, between two of its
    transactions: so it must be brief, wait for nothing and raise nothing.
    """

    def finished(self, job: int) -> None:
        """The job has finished, and that is on disk."""

    def released(self) -> None:
        """Somebody has ended to wait for jobs: what was spared for them need not be any longer."""

    def removed(self) -> None:
        """Jobs were removed, and there may be room to give back."""

    def published(self, last_event: int) -> None:
        """Events up to this one are on disk."""

    def wished(self) -> None:
        """Somebody has submitted a job of which somebody is to be told."""

    def closed(self) -> None:
        """Nothing will happen any more."""


class Notifier:
    """Any thread may call. Who registers before looking misses nothing that happens then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._single: dict[int, set[Waiter]] = {}
        """By their only job, so that the end of another costs nothing."""
        self._several: set[Waiter] = set()
        self._awaited: list[Callable[[int], bool]] = []
        self._subscribers: tuple[Subscriber, ...] = ()
        self._last_event = 0
        self._for_events = Sleepers()
        self._closed = False

    # --- parts of the daemon --------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell it all news from now on, beside all others; what is returned ends that."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)
        return lambda: self._unsubscribe(subscriber)

    def _unsubscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers = tuple(each for each in self._subscribers if each is not subscriber)

    def removed(self) -> None:
        """Jobs were removed."""
        for subscriber in self._subscribers:
            subscriber.removed()

    def wished(self) -> None:
        """There is a job, or a change of one, of which somebody is to be told."""
        for subscriber in self._subscribers:
            subscriber.wished()

    # --- jobs that finish ---------------------------------------------------------------------

    def register(self, job: int) -> Waiter:
        """Before looking at its state, so that its end does not slip through in between."""
        waiter = Waiter(lambda other: other == job, job)
        with self._lock:
            self._single.setdefault(job, set()).add(waiter)
        return self._let_go(waiter)

    def register_any(self, concerns: Callable[[int], bool]) -> Waiter:
        """For the first of all jobs that it concerns."""
        waiter = Waiter(concerns)
        with self._lock:
            self._several.add(waiter)
        return self._let_go(waiter)

    def _let_go(self, waiter: Waiter) -> Waiter:
        if self._closed:
            waiter.dismiss()
        return waiter

    def unregister(self, waiter: Waiter) -> None:
        with self._lock:
            self._several.discard(waiter)
            waiters = self._single.get(waiter.job or 0, set())
            waiters.discard(waiter)
            if not waiters:
                self._single.pop(waiter.job or 0, None)

    @contextmanager
    def awaiting(self, concerns: Callable[[int], bool]) -> Iterator[None]:
        """Somebody waits for all of these, one after the other."""
        with self._lock:
            self._awaited.append(concerns)
        try:
            yield
        finally:
            with self._lock:
                self._awaited.remove(concerns)
            self.released()

    def released(self) -> None:
        """Somebody needs jobs no more that were spared for that."""
        for subscriber in self._subscribers:
            subscriber.released()

    def awaited(self, job: int) -> bool:
        with self._lock:
            return any(concerns(job) for concerns in self._awaited)

    def finished(self, job: int) -> None:
        for subscriber in self._subscribers:
            subscriber.finished(job)
        if not self._several and job not in self._single:
            return
        with self._lock:
            for waiter in (*self._single.get(job, ()), *self._several):
                if waiter.concerns(job):
                    waiter.wake()

    # --- events -------------------------------------------------------------------------------

    @property
    def last_event(self) -> int:
        return self._last_event

    def published(self, last_event: int) -> None:
        """Events up to this one are on disk."""
        with self._lock:
            self._last_event = max(self._last_event, last_event)
        self._for_events.wake()
        for subscriber in self._subscribers:
            subscriber.published(last_event)

    def wait_event(self, after: int, seconds: float) -> bool:
        """Wait until there is an event behind `after`; False: there is none yet.

        Raises: as `Sleepers.sleep_until` does.
        """
        self._for_events.sleep_until(lambda: self._last_event > after or self._closed, seconds)
        return self._last_event > after

    @property
    def closed(self) -> bool:
        """Nothing will happen any more: whoever looks now sees all there is to see."""
        return self._closed

    def close(self) -> None:
        """Let everybody go who waits, or would from here on."""
        with self._lock:
            self._closed = True
            for waiter in (*self._several, *chain.from_iterable(self._single.values())):
                waiter.dismiss()
        self._for_events.wake()
        for subscriber in self._subscribers:
            subscriber.closed()
