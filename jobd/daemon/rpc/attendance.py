"""Which clients are still to hear something before a daemon leaves that nobody follows.

Whoever waits may ask several times, one request behind the other. So a connection is waited for
from the first of them on until it has been told the end, also between two requests and while its
answer is on the way; and for a moment more, since one asks on (what the job printed, then its exit
code).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jobd.contract.models import Request, View
from jobd.contract.wording import counted

log = logging.getLogger(__name__)
_LOOKS_ON_S: Final = 1.0
"""Seconds for which whoever has only looked may still ask what belongs to it."""
_COMES_BACK_S: Final = 1.0
"""Seconds within which a client that waits is back; it tries twice a second at least."""


class Attendee:
    """One connection. Its thread calls."""

    def __init__(self, attendance: Attendance) -> None:
        self._attendance = attendance
        self._is_held_back = self._is_last = self._is_dismissed = False
        self._asks_on = 0.0
        self.until = 0.0
        """On the monotonic clock: up to when it is to hear more; infinite until it has heard the
        end.
        """

    def asks(self, request: Request) -> None:
        """It may wait for what is answered now, or for what comes behind that."""
        stays = getattr(request, "wait", 0.0) > 0 or getattr(request, "follows", False)
        self._is_held_back = request.about.waits and stays
        self._is_last = True
        self._asks_on = request.about.asks_on
        if self._is_held_back and not self._is_dismissed:
            self.until = math.inf

    def hears(self, view: View) -> None:
        """Told what it will be told, unless that is an error."""
        self._is_last = view.is_last

    def dismiss(self) -> None:
        """It will be told that the daemon leaves: whatever it asks then, it is not waited for."""
        self._is_dismissed = True

    def answered(self) -> None:
        """It has been told."""
        if self._is_dismissed:
            self.until = 0.0
        elif self._is_held_back:
            self.until = time.monotonic() + self._asks_on if self._is_last else math.inf
        else:
            # Whoever only looks, and again and again, keeps nobody.
            now = min(time.monotonic(), self._attendance.ends_at)
            self.until = max(self.until, now + _LOOKS_ON_S)
        self._attendance.changed()


class Attendance:
    """All connections; one that has ended is waited for no more. Any thread may call."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._present: set[Attendee] = set()
        self._expected_until = 0.0
        self.ends_at = math.inf
        """On the monotonic clock, once it is known: when all that may be waited for has ended."""

    @contextmanager
    def attendee(self) -> Iterator[Attendee]:
        """A connection, as long as it lasts."""
        one = Attendee(self)
        with self._condition:
            self._present.add(one)
        try:
            yield one
        finally:
            with self._condition:
                self._present.discard(one)
            self.changed()

    def expect(self) -> None:
        """Somebody may come back: a client that lost its daemon tries again before long."""
        self._expected_until = time.monotonic() + _COMES_BACK_S

    def changed(self) -> None:
        """Somebody has been told something, or is gone."""
        if self.ends_at != math.inf:
            with self._condition:
                self._condition.notify_all()

    def left(self) -> int:
        """How many are to hear more."""
        with self._condition:
            now = time.monotonic()
            return sum(each.until > now for each in self._present)

    def await_end(self, seconds: float) -> None:
        """Nothing more will happen: until everybody has heard the end or is gone, `seconds` at
        most.
        """
        if left := self.left():
            log.info("it is over; what %s waited for is told first", counted(left, "client"))
        with self._condition:
            now = self.ends_at = time.monotonic()
            give_up = now + seconds
            while (until := self._latest()) > now < give_up:
                self._condition.wait(min(until, give_up) - now)
                now = time.monotonic()
        if left := self.left():
            log.warning("%s did not take what was still to be told", counted(left, "client"))

    def _latest(self) -> float:
        return max(self._expected_until, *(each.until for each in self._present), 0.0)
