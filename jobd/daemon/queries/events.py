"""`events`: what has happened, from a place in the history on; whoever asks may wait for more, also
for what jobs print.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from jobd.contract.call import Call
from jobd.contract.errors import LEAVING, NotRunning
from jobd.contract.models import MAX_ID, EventPage, Events
from jobd.contract.ranges import Ranges, merge_ranges
from jobd.contract.states import UNFINISHED, State
from jobd.contract.wire import MAX_WAIT
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.queries.crowd import Crowd
from jobd.daemon.queries.followers import Follower, Followers
from jobd.daemon.queries.traffic import Traffic
from jobd.daemon.queries.views import Views
from jobd.daemon.queries.written import Written
from jobd.store.reader import Reader
from jobd.store.records import EventRow

_GATHER_S: Final = 0.5
"""Seconds of a wait in which nothing that is printed ends it: who watches jobs that print all the
time is not told of each line.
"""


class EventsQuery:
    """Clients' threads call, and wait in it."""

    def __init__(
        self,
        *,
        reader: Reader,
        ledger: Ledger,
        notifier: Notifier,
        views: Views,
        followers: Followers,
        written: Written,
        crowd: Crowd,
        traffic: Traffic,
        owner: str,
    ) -> None:
        """`owner`: the login of whoever runs the daemon."""
        self._owner = owner
        self._crowd = crowd
        self._traffic = traffic
        self._reading = threading.Lock()
        self._latest: tuple[tuple[int, int, int], EventPage] | None = None
        """The page that was made last for one who waits for everything, and what it begins behind,
        ends with and may hold.
        """
        self._reader = reader
        self._ledger = ledger
        self._notifier = notifier
        self._views = views
        self._followers = followers
        self._written = written

    def events(self, request: Events, _: Call) -> EventPage:
        """Raises: NotRunning (the daemon leaves, and all that has happened is told)."""
        ranges = merge_ranges(request.selector.ids)
        after = request.after
        if after is None:
            return EventPage(
                events=[], next=self._notifier.last_event, unfinished=self._left(ranges)
            )
        with ExitStack() as leaving:
            if not request.wait:
                leaving.enter_context(self._traffic.way_given())
            return self._held_back(request, ranges, after, leaving)

    def _held_back(
        self, request: Events, ranges: Ranges, after: int, leaving: ExitStack
    ) -> EventPage:
        follower: Follower | None = None
        began = time.monotonic()
        until = began + min(request.wait, MAX_WAIT)
        gathered = min(until, began + _GATHER_S) if request.written else until
        while True:
            last = self._notifier.closed
            if follower is not None:
                follower.forget()
            # Whoever has waited for long is in no crowd's way.
            in_step = request.wait and follower is None and not last
            newest = self._crowd.newest if in_step else self._notifier.last_event
            if in_step and newest > after and not (ranges or request.written):
                page = self._shared(request, after, newest)
                if page.events:
                    return page
                after = newest  # what happened there is forgotten by now
            rows = self._reader.events(after, ranges, request.limit) if newest > after else []
            now = time.monotonic()
            written = self._written.beyond(request.written) if rows or now >= gathered else []
            if rows or written or now >= until:
                return self._page(request, ranges, rows, max(after, newest), written)
            if last:
                raise NotRunning(LEAVING)
            after = max(after, newest)
            if now < gathered or self._followers.closed:
                self._crowd.wait(after, (gathered if now < gathered else until) - now)
            elif follower is None:
                # What happens from here on wakes; what is before, another look sees.
                follower = leaving.enter_context(self._followers.follow(None))
            else:
                follower.wait(self._written.outputs(request.written), until - now)

    def _shared(self, request: Events, after: int, newest: int) -> EventPage:
        """The page of all who know of the same, and wait for everything: made once."""
        key = after, newest, request.limit
        with self._reading:
            if self._latest is not None and self._latest[0] == key:
                return self._latest[1]
            found = self._reader.events(after, (), request.limit)
            page = self._page(request, (), [row for row in found if row.seq <= newest], newest, [])
            if page.is_for_many:
                self._latest = key, page
            return page

    def _page(
        self,
        request: Events,
        ranges: Ranges,
        rows: Sequence[EventRow],
        newest: int,
        written: list[int],
    ) -> EventPage:
        """Once nothing is left to finish, the page holds all that led there."""
        full = len(rows) >= request.limit
        unfinished = 1 if full else self._left(ranges)
        if not unfinished:
            seen = rows[-1].seq if rows else newest
            rest = self._reader.events(seen, ranges, request.limit)
            unfinished = int(len(rest) >= request.limit)
            rows = [*rows, *rest]
        return EventPage(
            events=[self._views.event(row) for row in rows],
            next=rows[-1].seq if rows else newest,
            unfinished=unfinished,
            first=self._reader.first_event(),
            written=written,
            owner=self._owner,
        )

    def _left(self, ranges: Ranges) -> int:
        """1 while one of these jobs has not finished. Memory is ahead of the disk: if it says
        that one is left, so it is; that none is left only the disk can say.
        """
        ledger = self._ledger
        if not ranges and ledger.counts[State.PENDING] + ledger.counts[State.RUNNING]:
            return 1
        if not ranges:
            ranges = [(1, MAX_ID)]
        return int(self._reader.one_of(UNFINISHED, ranges) is not None)
