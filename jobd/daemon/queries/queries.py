"""The use cases that only look: list, show, events, wait."""

from __future__ import annotations

import builtins
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Final

from msgspec.structs import replace

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest, NotFound
from jobd.contract.models import (
    MAX_ID,
    EventPage,
    Events,
    Job,
    List,
    Page,
    Selector,
    Show,
    Shown,
    Wait,
    Waited,
)
from jobd.contract.ranges import Ranges, Within, merge_ranges, ranges_of
from jobd.contract.states import FINISHED, UNFINISHED, State
from jobd.contract.wire import MAX_WAIT
from jobd.core.ledger import Ledger
from jobd.core.progress.recognition import last_line
from jobd.daemon.jobs.notifier import Notifier, Waiter
from jobd.daemon.jobs.selection import EVERYTHING, Selection, filter_of
from jobd.daemon.queries.cursor import Place
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.daemon.queries.views import Views
from jobd.outputs.files import read_tail
from jobd.outputs.workspace import Workspace
from jobd.store.pages import Key
from jobd.store.reader import GetPage, Reader
from jobd.store.records import EventRow, Filter, JobRow
from jobd.system.clock import now_us

_PAGE: Final = 500
"""Jobs in one reply."""
_UNCOMPLETED: Final = (State.FAILED, State.STOPPED)
_TOLD: Final = 1000
"""So many of them are in the answer to a wait."""
_HISTORY: Final = 1000
"""Events of one job that are shown."""
_LARGE: Final = 1024 * 1024
"""Bytes of commands after which a page has no other section."""
_UNFINISHED: Final = Filter(states=UNFINISHED)


def _section(
    page: GetPage, place: Place, selector: Selector, room: int
) -> tuple[Sequence[JobRow], Key | None]:
    if room <= 0 or not place.may_hold(selector.states):
        return [], None
    chosen = replace(filter_of(selector), ranges=tuple(selector.ids))
    return page(place.section, chosen, place.behind, room)


def _are_large(rows: Sequence[JobRow]) -> bool:
    return sum(len(word) for row in rows for word in row.spec.argv) > _LARGE


class Queries:
    def __init__(
        self,
        *,
        workspace: Workspace,
        ledger: Ledger,
        reader: Reader,
        selection: Selection,
        notifier: Notifier,
        views: Views,
        keeping: bool,
    ) -> None:
        """`keeping`: jobs that somebody waits for stay until it has been told how they ended."""
        self._workspace = workspace
        self._ledger = ledger
        self._reader = reader
        self._selection = selection
        self._notifier = notifier
        self._views = views
        self._keeping = keeping
        self._inquiry = Inquiry(ledger, reader)

    # --- list -----------------------------------------------------------------------------

    def list(self, request: List, _: Call) -> Page:
        rows: list[JobRow] = []
        seq, moves = self._notifier.last_event, self._ledger.moves
        place: Place | None = Place.of(request.cursor)
        # A job that starts or ends meanwhile must not slip from one section into one passed by.
        with self._reader.pages() as page:
            while place is not None and len(rows) < _PAGE:
                left = place.room(request)
                room = _PAGE - len(rows) if left is None else min(_PAGE - len(rows), left)
                found, behind = _section(page, place, request.selector, room)
                rows += found
                place = place.after(len(found), behind)
                if (behind is not None and len(found) < room) or _are_large(rows):
                    break  # enough looked at, or shown, for one page
        return Page(
            jobs=self._shown(rows),
            next=None if place is None else place.cursor(),
            counts=dict(self._ledger.counts),
            busy=self._ledger.busy,
            missing=self._selection.missing(request.selector) if request.cursor is None else [],
            seq=seq,
            # The first page says how it was before, the others how it is behind them.
            moves=moves if request.cursor is None else self._ledger.moves,
        )

    # --- show -----------------------------------------------------------------------------

    def show(self, request: Show, _: Call) -> Shown:
        row = self._row(request.id)
        events = self._reader.events_of(row.id, _HISTORY)
        attempts = self._reader.attempts(row.id)
        return Shown(
            job=self._shown([row])[0],
            attempts=[self._views.attempt(row.id, attempt) for attempt in attempts],
            events=[self._views.event(found) for found in events],
            why=self._inquiry.why(row, now_us() / 1e6) if row.state is State.PENDING else None,
            environment=self._reader.environment(row.environment) if request.environment else None,
            recipe=self._views.recipe(row) if request.recipe else None,
        )

    def _row(self, job: int) -> JobRow:
        row = self._reader.job(job)
        if row is None:
            raise NotFound(f"job {job} does not exist")
        return row

    # --- events ---------------------------------------------------------------------------

    def events(self, request: Events, _: Call) -> EventPage:
        ranges = merge_ranges(request.selector.ids)
        after = request.after
        if after is None:
            return EventPage(
                events=[], next=self._notifier.last_event, unfinished=self._left(ranges)
            )
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        while True:
            newest = self._notifier.last_event
            rows = self._reader.events(after, ranges, request.limit) if newest > after else []
            left = until - time.monotonic()
            if rows or left <= 0:
                return self._event_page(request, ranges, rows, max(after, newest))
            after = max(after, newest)
            self._notifier.wait_event(after, left)

    def _event_page(
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

    # --- wait -----------------------------------------------------------------------------

    def wait(self, request: Wait, _: Call) -> Waited:
        """Raises: BadRequest (nothing was named)."""
        if not request.selector.named:
            raise BadRequest("name the jobs to wait for, or --all")
        ranges = self._meant(request.selector)
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        look = self._until_one if request.any else self._until_all
        # Those that finish meanwhile are kept until we have told how.
        with self._notifier.awaiting(Within(ranges)) if self._keeping else nullcontext():
            while not (done := look(ranges, until)) and time.monotonic() < until:
                pass
            return self._waited(request, ranges, done=done)

    def _meant(self, selector: Selector) -> Ranges:
        """The jobs to wait for, as they are now. Those that are named by ids alone need no look."""
        chosen = filter_of(selector)
        if selector.ids and chosen == EVERYTHING:
            last = self._reader.last_id()
            return merge_ranges((low, min(high, last)) for low, high in selector.ids)
        if selector.all and not selector.ids and chosen == EVERYTHING:
            chosen = _UNFINISHED
        return ranges_of(job for job, _ in self._selection.jobs(selector.ids, chosen))

    def _until_all(self, ranges: Ranges, until: float) -> bool:
        """Wait for one of those that have not finished: while it has not, no look at the others
        is needed. True: none is left.
        """
        job = self._reader.one_of(UNFINISHED, ranges)
        if job is not None:
            self._until_finished(self._notifier.register(job), [(job, job)], until)
        return job is None

    def _until_one(self, ranges: Ranges, until: float) -> bool:
        """Wait until one of them has finished. True: one has, or there is none to wait for."""
        if not ranges:
            return True
        return self._until_finished(self._notifier.register_any(Within(ranges)), ranges, until)

    def _until_finished(self, waiter: Waiter, ranges: Ranges, until: float) -> bool:
        try:
            # Those that ended before the hub knew of us will not be told again.
            if self._reader.one_of(FINISHED, ranges) is not None:
                return True
            return waiter.wait(until - time.monotonic())
        finally:
            self._notifier.unregister(waiter)

    def _waited(self, request: Wait, ranges: Ranges, *, done: bool) -> Waited:
        counts = self._reader.count_within(ranges)
        total = sum(counts.values())
        done = done and (request.any or not counts[State.PENDING] + counts[State.RUNNING])
        states = FINISHED if request.any else () if total == 1 else _UNCOMPLETED
        jobs = self._told(ranges, states) if done else []
        lines = {job.id: self._last_line(job) for job in jobs if job.state is State.FAILED}
        if not self._ledger.busy:
            self._workspace.release()
        return Waited(
            done=done,
            total=total,
            counts=counts,
            jobs=[*jobs],
            last_lines=lines,
            missing=self._selection.missing(request.selector),
            ids=[*ranges],
        )

    def _told(self, ranges: Ranges, states: tuple[State, ...]) -> Sequence[Job]:
        found = self._selection.jobs(ranges, Filter(states=states)) if ranges else iter(())
        return self._jobs(self._reader.fitting([job for job, _ in islice(found, _TOLD)]))

    def _jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        return self._shown(self._reader.jobs(ids))

    def _shown(self, rows: Sequence[JobRow]) -> builtins.list[Job]:
        now, reason, parents = now_us(), self._inquiry.reason, self._reader.parents(rows)
        return [self._views.job(row, now, reason(row), parents.get(row.id, ())) for row in rows]

    def _last_line(self, job: Job) -> str:
        return last_line(read_tail(self._workspace.output_of(job.id, job.attempt)))
