"""How a daemon comes to its end: told by a signal, a request, its supervisor, or a deleted home.

whoever has something to tell → inbox → main thread: drain (nothing starts any more, and what
runs is waited for) → the last job has ended → whoever waits hears of it → the daemon leaves
"""

from __future__ import annotations

import logging
import os
import queue
from contextlib import suppress
from enum import Enum
from typing import Final

from jobd.contract.call import Call
from jobd.contract.errors import JobdError
from jobd.contract.models import Renew, RenewReply, Shutdown, ShutdownReply
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.stop_orders import StopOrders
from jobd.daemon.supervisor_link import Link
from jobd.system.clock import boot_us
from jobd.system.timer import Deadline, Timer

log = logging.getLogger(__name__)


_LOOK_S: Final = 0.5
"""Seconds between two looks, while all is ended, at what may not be signalled."""


class News(Enum):
    """What the main thread hears."""

    DRAIN = "drain"
    NOW = "now"
    IDLE = "idle"
    RENEW = "renew"
    ORPHANED = "orphaned"
    GONE = "gone"


Inbox = queue.SimpleQueue[News]
"""What any thread may tell, and the main thread hears."""


class Ending:
    """Which way the daemon ends. The main thread hears; clients' threads ask for it by request.

    Promises that a drain which has begun outlives this daemon: its supervisor, and so the next
    one, knows of it.
    """

    def __init__(
        self, inbox: Inbox, drain: Drain, stop_orders: StopOrders, link: Link | None, timer: Timer
    ) -> None:
        """`link` None: there is no supervisor (a daemon inside a test)."""
        self.inbox = inbox
        self._drain = drain
        self._stop_orders = stop_orders
        self._link = link
        self._timer = timer
        self._next_look: Deadline | None = None
        """At what may not be signalled; one at a time, however often it is told to end."""
        self.drain_until: int | None = None
        """When what still runs is to be ended, microseconds since boot."""

    def go_on(self, until: int | None) -> None:
        """With the drain that the daemon before began; `until`: microseconds since boot."""
        self._begin(until)
        self._end_in_time()

    def hear(self) -> News:
        """Until the daemon is drained, to be renewed, or orphaned."""
        while True:
            news = self.inbox.get()
            if news in (News.RENEW, News.ORPHANED):
                return news
            if news is News.IDLE and self._drain.is_over:
                return news
            try:
                self._follow(news)
            except JobdError as error:
                log.warning("%s: %s", news.value, error)

    def hear_out(self) -> None:
        """What was told behind the news that this daemon leaves with is for the next one to do."""
        with suppress(queue.Empty):
            while news := self.inbox.get_nowait():
                if self._is_for_now(news):
                    self._begin(boot_us())
                elif news in (News.DRAIN, News.GONE):
                    self._begin()

    def _is_for_now(self, news: News) -> bool:
        """A second order to drain is `--now`."""
        return news is News.NOW or (news is News.DRAIN and self._drain.begun)

    def _follow(self, news: News) -> None:
        if self._is_for_now(news):
            self._begin(boot_us())
            self._stop_orders.end_all()
            self._next_look = self._next_look or self._timer.after(_LOOK_S, self._leave_behind)
        elif news in (News.DRAIN, News.GONE):
            self._begin()

    def _begin(self, until: int | None = None) -> list[int]:
        """The jobs that are now waited for; `until`: when to end them, microseconds since boot."""
        known = [time for time in (until, self.drain_until) if time is not None]
        self.drain_until = min(known, default=None)
        if self._link is not None:
            self._link.draining(self.drain_until)
        return self._drain.begin()

    def _leave_behind(self) -> None:
        """What cannot be ended keeps nobody from leaving."""
        self._stop_orders.leave_behind()
        self._drain.look()
        over = self._drain.is_over
        self._next_look = None if over else self._timer.after(_LOOK_S, self._leave_behind)

    def _end_in_time(self) -> None:
        if self.drain_until is not None:
            left = max(0, self.drain_until - boot_us()) / 1e6
            self._timer.after(left, lambda: self.inbox.put(News.NOW))

    # --- requests -------------------------------------------------------------------------------

    def shutdown(self, request: Shutdown, _: Call) -> ShutdownReply:
        seconds = 0.0 if request.now else request.timeout
        until = None if seconds is None else boot_us() + int(seconds * 1e6)
        waiting = self._begin(until)
        if until is not None:
            self._end_in_time()
        return ShutdownReply(waiting_for=waiting)

    def renew(self, _request: Renew, _: Call) -> RenewReply:
        self.inbox.put(News.RENEW)
        return RenewReply(pid=os.getpid())
