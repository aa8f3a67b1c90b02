"""`watch` on a terminal: what is seen of the queue, and when.

A round: take the changes that have come; print those that are to stay; look at what runs; draw.
Between two rounds lie at least `_BREATH` seconds, and nothing is asked for while nothing happens
but the times once a second. The cost is that of the rows on the screen, not that of the queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from jobctl.actions.tails import Tails
from jobd.client.client import Client
from jobd.client.stalls import check_events
from jobd.contract.models import (
    Event,
    EventPage,
    Events,
    List,
    Selector,
    State,
    Wait,
)
from jobd.contract.reports import Picture
from jobd.contract.wire import MAX_WAIT

_BREATH: Final = 0.15
"""Seconds between two redraws at least."""
_TICK: Final = 1.0
"""Seconds after which times are redrawn though nothing has happened."""
_BATCH: Final = 1000
"""Events in one reply."""
_DRAIN: Final = 0.3
"""Seconds for which events are taken before they are shown."""
_COUNTING_SHARE: Final = 20
"""The selected jobs are counted again after so many times as long as the counting took."""


class Screen(Protocol):
    """Where a `Watching` draws: a terminal, a log, a test."""

    def room(self) -> int:
        """How many running jobs fit."""

    def show(self, picture: Picture, said: Sequence[Event]) -> None:
        """Draw; what was `said` stays above."""

    def resizable(self) -> None:
        """From here on it may redraw by itself when the terminal changes its size."""

    def busy(self) -> None:
        """No longer."""


class Watching:
    """Follows some jobs until all have finished, or for good; the main thread is in it."""

    def __init__(
        self,
        client: Client,
        selector: Selector,
        after: int,
        screen: Screen,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._selector = selector
        self._after = after
        self._screen = screen
        self._clock = clock
        self._sleep = sleep
        self._tails = Tails(client, clock)
        self._workers = 0
        self._counts: dict[State, int] = {}
        self._count_next = 0.0

    def run(self) -> None:
        """Until all that is watched has finished."""
        self._ask_workers()
        picture, unfinished = self._look([]), False
        self._screen.show(picture, [])
        while True:
            drawn = self._clock()
            wait = 0.0 if not unfinished else _TICK if picture.running else MAX_WAIT
            events, left = self._take(wait)
            if not left and not events and not unfinished:
                return
            unfinished = bool(left)
            picture = self._look(events)
            self._screen.show(picture, events)
            self._sleep(max(0.0, drawn + _BREATH - self._clock()))

    # --- changes --------------------------------------------------------------------------

    def _take(self, wait: float) -> tuple[list[Event], int]:
        """What has happened since, and how many jobs have not finished."""
        until = self._clock() + wait + _DRAIN
        page = self._ask(wait)
        events = list(page.events)
        while len(page.events) == _BATCH and self._clock() < until:
            page = self._ask(0.0)
            events += page.events
        return events, page.unfinished

    def _ask(self, wait: float) -> EventPage:
        request = Events(selector=self._selector, after=self._after, limit=_BATCH, wait=wait)
        self._screen.resizable()
        try:
            page = self._client.events(request)
        finally:
            self._screen.busy()
        check_events(self._after, page)
        self._after = page.next
        return page

    # --- the queue ------------------------------------------------------------------------

    def _look(self, events: Sequence[Event]) -> Picture:
        if any(event.job is None for event in events):
            self._ask_workers()
        room = self._screen.room()
        page = self._client.list(List(selector=self._selector, running=room, pending=0, finished=0))
        whole = not self._selector.ids
        counts = page.counts if whole else self._selected()
        return Picture(
            running=page.jobs,
            more=max(0, counts.get(State.RUNNING, 0) - len(page.jobs)),
            lines=self._tails.of(page.jobs),
            counts=counts,
            workers=self._workers if whole else None,
            busy=page.counts.get(State.RUNNING, 0) if page.busy is None else page.busy,
        )

    def _selected(self) -> dict[State, int]:
        """Counts of the selection. They cost as much as it is large: not too often, then."""
        began = self._clock()
        if began >= self._count_next:
            self._counts = self._client.wait(Wait(selector=self._selector, wait=0.0)).counts
            now = self._clock()
            self._count_next = now + _COUNTING_SHARE * (now - began)
        return self._counts

    def _ask_workers(self) -> None:
        self._workers = self._client.status().workers
