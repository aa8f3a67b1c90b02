"""Deadlines: one thread that sleeps until the next is due, for good when there is none."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

log = logging.getLogger(__name__)
_SLACK: Final = 64
"""Cancelled deadlines that may always be left in memory."""


class Deadline:
    """Something to be done at a time; `tag` is the caller's own."""

    __slots__ = ("_cancel", "_number", "action", "tag", "when")

    def __init__(
        self,
        when: float,
        number: int,
        action: Callable[[], object],
        tag: object,
        cancel: Callable[[Deadline], object],
    ) -> None:
        self.when = when
        self.action: Callable[[], object] | None = action
        self.tag = tag
        self._number = number
        self._cancel = cancel

    def __lt__(self, other: Deadline) -> bool:
        return (self.when, self._number) < (other.when, other._number)

    def cancel(self) -> None:
        """It will not be done, unless that has begun."""
        self._cancel(self)


class Timer:
    """On the monotonic clock, so that no jump of the wall clock moves a deadline."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._due: list[Deadline] = []
        self._cancelled = 0
        self._number = itertools.count()
        self._closed = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="timer", daemon=True).start()

    def at(self, when: float, action: Callable[[], object], tag: object = None) -> Deadline:
        """Call it at that time of `time.monotonic()`. It must be brief, and bear being late."""
        deadline = Deadline(when, next(self._number), action, tag, self._forget)
        with self._lock:
            heappush(self._due, deadline)
            if self._due[0] is deadline:
                self._lock.notify()
        return deadline

    def after(self, seconds: float, action: Callable[[], object], tag: object = None) -> Deadline:
        return self.at(time.monotonic() + seconds, action, tag)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify()

    def _forget(self, deadline: Deadline) -> None:
        """What is cancelled stays in the heap until it is due, or until there is much of it."""
        with self._lock:
            if deadline.action is None:
                return
            deadline.action = None
            self._cancelled += 1
            if self._cancelled > _SLACK + len(self._due) // 2:
                self._due = [entry for entry in self._due if entry.action is not None]
                heapify(self._due)
                self._cancelled = 0

    def _run(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except Exception:
                log.exception("a timer's action failed")

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            while not self._closed:
                left = self._due[0].when - time.monotonic() if self._due else None
                if left is None or left > 0:
                    self._lock.wait(left)
                elif (action := self._take()) is not None:
                    return action
        return None

    def _take(self) -> Callable[[], object] | None:
        deadline = heappop(self._due)
        action, deadline.action = deadline.action, None
        if action is None:
            self._cancelled -= 1
        return action
