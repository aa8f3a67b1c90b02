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
            newest = self._notifier.last_event
            left = self._rest(ranges, newest, 1) is None
            return EventPage(events=[], next=newest, unfinished=int(left))
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
        seen = max([newest, *(row.seq for row in rows[-1:])])
        rest = None if full else self._rest(ranges, seen, request.limit)
        unfinished = int(rest is None or len(rest) >= request.limit)
        rows = [*rows, *(rest or ())]
        return EventPage(
            events=[self._views.event(row) for row in rows],
            next=rows[-1].seq if rows else newest,
            unfinished=unfinished,
            first=self._reader.first_event(),
            written=written,
            owner=self._owner,
        )

    def _rest(self, ranges: Ranges, after: int, limit: int) -> list[EventRow] | None:
        """What has happened behind `after` up to a moment in which all of these jobs have finished;
        None: one has not.

        Memory is ahead of the disk: if it says that one is left, so it is; that none is left only
        the disk can say. And what comes behind that moment, as a restart, is for the next page.
        """
        counts = self._ledger.counts
        if not ranges and counts[State.PENDING] + counts[State.RUNNING]:
            return None
        with self._reader.moment() as reader:
            if reader.one_of(UNFINISHED, ranges or [(1, MAX_ID)]) is not None:
                return None
            return reader.events(after, ranges, limit)
