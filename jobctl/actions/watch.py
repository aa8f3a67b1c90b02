"""`watch` on a terminal: what is seen of the queue, and when.

A round: take the changes that have come; print those that are to stay; look at what runs; draw.
Between two rounds lie at least `_BREATH` seconds, and nothing is asked for while nothing happens
and nothing is printed: the screen itself lets the times go on. The cost is that of the rows on the
screen, not that of the queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from jobctl.actions.looks import Looks
from jobd.client.client import Client
from jobd.client.stalls import check_events
from jobd.contract.errors import NotRunning, VersionMismatch
from jobd.contract.models import Event, EventPage, Events, Selector
from jobd.contract.overviews import Picture
from jobd.contract.wire import MAX_WAIT

_BREATH: Final = 0.15
"""Seconds between two redraws at least."""
_TICK: Final = 1.0
"""Seconds after which a daemon that does not tell what is printed is asked again."""
_BATCH: Final = 1000
"""Events in one reply."""
_DRAIN: Final = 0.3
"""Seconds for which events are taken before they are shown."""


class Screen(Protocol):
    """Where a `Watching` draws: a terminal, a log, a test."""

    def room(self) -> int:
        """How many running jobs fit."""

    def show(self, picture: Picture, said: Sequence[Event]) -> None:
        """Draw; what was `said` stays above."""

    def idle(self) -> None:
        """From here on it may redraw by itself, as time goes by and when its size changes."""

    def busy(self) -> None:
        """No longer."""


class _News(Struct, frozen=True):
    """What has come since the round before."""

    events: Sequence[Event]
    unfinished: bool = True
    written: Sequence[int] | None = ()
    """Jobs that have printed more; None: the daemon does not tell."""


class Watching:
    """Follows some jobs until all have finished, or for good; the main thread is in it."""

    def __init__(
        self,
        client: Client,
        selector: Selector,
        after: int,
        screen: Screen,
        *,
        expand: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`expand`: each element of an array is a row, not all of them together one."""
        self._client = client
        self._selector = selector
        self._after = after
        self._screen = screen
        self._clock = clock
        self._sleep = sleep
        self._looks = Looks(client, selector, expand=expand, clock=clock)
        self._is_told = True
        """The daemon tells what is printed; one of an earlier version does not."""

    def run(self) -> None:
        """Until all that is watched has finished."""
        self._looks.ask_workers()
        picture, wait = self._look(_News([])), 0.0
        self._screen.show(picture, [])
        while True:
            drawn = self._clock()
            news = self._take(wait)
            if not news.unfinished:
                picture = self._last(news, picture)
                self._screen.show(picture, self._looks.told(news.events))
                return
            picture = self._look(news)
            self._screen.show(picture, self._looks.told(news.events))
            self._sleep(max(0.0, drawn + _BREATH - self._clock(), self._looks.rest))
            wait = self._patience(picture)

    def _last(self, news: _News, before: Picture) -> Picture:
        """How it is once all has finished. A daemon that leaves may be gone by now: that all has
        finished it has told.
        """
        try:
            return self._look(news)
        except NotRunning:
            return replace(before, running=[], more=0, lines={}, counts={}, busy=0, arrays={})

    def _patience(self, picture: Picture) -> float:
        """Seconds for which news are waited for: what is to be looked at again is, without any."""
        tails, untold = self._looks.tails, _TICK if picture.running else inf
        return min(MAX_WAIT, self._looks.patience(), tails.pause() if self._is_told else untold)

    def _look(self, news: _News) -> Picture:
        return self._looks.look(self._screen.room(), news.events, news.written)

    # --- changes --------------------------------------------------------------------------

    def _take(self, wait: float) -> _News:
        until = self._clock() + wait + _DRAIN
        page = self._wait(wait)
        events, written = list(page.events), page.written if self._is_told else None
        while len(page.events) == _BATCH and self._clock() < until:
            page = self._ask(0.0)
            events += page.events
        return _News(events, bool(page.unfinished), written)

    def _wait(self, wait: float) -> EventPage:
        """Also for what the jobs on the screen print."""
        if not (wait and self._is_told):
            return self._ask(wait)
        try:
            return self._ask(wait, self._looks.tails.known())
        except VersionMismatch:
            self._is_told = False
            return self._ask(0.0)

    def _ask(self, wait: float, known: Mapping[int, int] | None = None) -> EventPage:
        request = Events(
            selector=self._selector, after=self._after, limit=_BATCH, wait=wait, follows=True,
            written=dict(known or {}),
        )  # fmt: skip
        self._screen.idle()
        try:
            page = self._client.events(request)
        finally:
            self._screen.busy()
        check_events(self._after, page)
        self._after = page.next
        return page
