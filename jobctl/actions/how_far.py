"""How far some jobs are, while somebody waits for them.

Looked at in a thread of its own, with a client of its own: the wait beside it must miss nothing,
and misses nothing whatever becomes of this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, Self

from jobd.client.client import Client
from jobd.client.stalls import Waits, check_events
from jobd.contract.errors import JobdError
from jobd.contract.models import Events, List, Selector, Wait, Waited
from jobd.contract.overviews import HowFar
from jobd.contract.wire import MAX_WAIT

_MOMENT_S: Final = 0.5
"""Seconds for which nobody wonders how far it is."""
_BREATH_S: Final = 0.2
"""Seconds between two looks at least."""
_COUNTING_SHARE: Final = 20
"""So many times as long as a look took nobody looks again."""
_LONGEST_REST_S: Final = 2.0


class Audience(Protocol):
    """Who is told; the looking thread calls."""

    def show(self, now: HowFar | None) -> None:
        """How far they are now; None: that is not known any more."""


class Looking:
    """A context, in which it is looked at once it takes longer than a moment: after each change,
    and not while nothing happens.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        selector: Selector,
        audience: Audience,
        *,
        to_end: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`to_end`: it is waited until all have finished."""
        self._connect = connect
        self._selector = selector
        self._audience = audience
        self._to_end = to_end
        self._clock = clock
        self._is_over = threading.Event()
        self._begin: tuple[float, int] | None = None
        """When it was first looked, and how many had finished then."""

    def __enter__(self) -> Self:
        with suppress(RuntimeError):  # the machine gives no thread: then it is not known how far
            threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody waits for the thread: it may be held back by the daemon, and ends behind that."""
        self._is_over.set()

    def _run(self) -> None:
        if self._is_over.wait(_MOMENT_S):
            return
        try:
            with self._connect() as client:
                self._follow(client)
        except JobdError:
            self._audience.show(None)

    def _follow(self, client: Client) -> None:
        waits = Waits(self._clock)
        while not self._is_over.is_set():
            # The cursor first: what changes behind the look is waited for no more.
            after = client.events(Events(after=None)).next
            began = self._clock()
            self._audience.show(self._look(client))
            took = self._clock() - began
            self._is_over.wait(max(_BREATH_S, min(_LONGEST_REST_S, _COUNTING_SHARE * took)))
            while not self._is_over.is_set():
                page = client.events(
                    Events(
                        selector=Selector(ids=self._selector.ids),
                        after=after,
                        limit=1,
                        wait=MAX_WAIT,
                    )
                )
                check_events(after, page)
                waits.check(MAX_WAIT, news=bool(page.events))
                if page.events:
                    break
                after = page.next

    def _look(self, client: Client) -> HowFar | None:
        seen = client.wait(Wait(selector=self._selector, wait=0.0))
        if not seen.total:
            return None
        jobs = client.list(List(selector=self._selector, limit=1)).jobs if seen.total == 1 else []
        return HowFar(
            counts=seen.counts,
            job=jobs[0] if jobs else None,
            array=seen.array,
            eta_s=self._left(seen) if self._to_end else None,
            to_end=self._to_end,
        )

    def _left(self, seen: Waited) -> float | None:
        """Seconds until all have finished, if they go on as until now."""
        if seen.array is not None:
            return seen.array.eta_s
        now = self._clock()
        if self._begin is None:
            self._begin = now, seen.ended
        since, before = self._begin
        gone, left = seen.ended - before, seen.total - seen.ended
        return (now - since) / gone * left if gone > 0 and left else None
