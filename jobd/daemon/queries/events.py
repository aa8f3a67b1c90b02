"""`events`: what has happened, from a place in the history on; whoever asks may wait for more."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jobd.contract.call import Call
from jobd.contract.errors import LEAVING, NotRunning
from jobd.contract.models import MAX_ID, EventPage, Events
from jobd.contract.ranges import Ranges, merge_ranges
from jobd.contract.states import UNFINISHED, State
from jobd.contract.wire import MAX_WAIT
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.queries.views import Views
from jobd.store.reader import Reader
from jobd.store.records import EventRow


class EventsQuery:
    """Clients' threads call, and wait in it."""

    def __init__(self, reader: Reader, ledger: Ledger, notifier: Notifier, views: Views) -> None:
        self._reader = reader
        self._ledger = ledger
        self._notifier = notifier
        self._views = views

    def events(self, request: Events, _: Call) -> EventPage:
        """Raises: NotRunning (the daemon leaves, and all that has happened is told)."""
        ranges = merge_ranges(request.selector.ids)
        after = request.after
        if after is None:
            return EventPage(
                events=[], next=self._notifier.last_event, unfinished=self._left(ranges)
            )
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        while True:
            last = self._notifier.closed
            newest = self._notifier.last_event
            rows = self._reader.events(after, ranges, request.limit) if newest > after else []
            left = until - time.monotonic()
            if rows or left <= 0:
                return self._page(request, ranges, rows, max(after, newest))
            if last:
                raise NotRunning(LEAVING)
            after = max(after, newest)
            self._notifier.wait_event(after, left)

    def _page(
        self, request: Events, ranges: Ranges, rows: Sequence[EventRow], newest: int
    ) -> EventPage:
        """Once nothing is left to finish, the page holds all that led there."""
        full = len(rows) >= request.limit
        unfinished = 1 if full else self._left(ranges)
        if not unfinished:
            seen = rows[-1].seq if rows else newest
            rows = [*rows, *self._reader.events(seen, ranges, request.limit)]
        return EventPage(
            events=[self._views.event(row) for row in rows],
            next=rows[-1].seq if rows else newest,
            unfinished=unfinished,
            first=self._reader.first_event(),
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
