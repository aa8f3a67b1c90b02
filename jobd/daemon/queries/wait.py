"""`wait`: until jobs have finished, all of them or one; and how they ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Final

from jobd.contract.call import Call
from jobd.contract.errors import LEAVING, BadRequest, NotRunning
from jobd.contract.models import Array, Selector, Wait, Waited
from jobd.contract.ranges import Ranges, Within, merge_ranges
from jobd.contract.states import FINISHED, UNFINISHED, State
from jobd.contract.wire import MAX_WAIT
from jobd.core.ledger import Ledger
from jobd.core.progress.recognition import WINDOW, last_line
from jobd.daemon.jobs.notifier import Notifier, Waiter
from jobd.daemon.jobs.selection import EVERYTHING, Selection, filter_of
from jobd.daemon.queries.collapsed import array_view
from jobd.daemon.queries.views import JobViews
from jobd.outputs.workspace import Workspaces
from jobd.store.arrays import ArrayRow, arrays_of, ends_of
from jobd.store.reader import Reader
from jobd.store.records import Filter, JobRow

_UNCOMPLETED: Final = (State.FAILED, State.STOPPED)
_TOLD: Final = 1000
"""So many of them are in the answer to a wait."""
_BREATH_S: Final = 0.01
"""Seconds between two looks for who still does not run: a busy queue starts many in that time."""


class WaitQuery:
    """Clients' threads call, and wait in it."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        ledger: Ledger,
        reader: Reader,
        selection: Selection,
        notifier: Notifier,
        shown: JobViews,
        keeping: bool,
    ) -> None:
        """`keeping`: jobs that somebody waits for stay until it has been told how they ended."""
        self._workspaces = workspaces
        self._ledger = ledger
        self._reader = reader
        self._selection = selection
        self._notifier = notifier
        self._shown = shown
        self._keeping = keeping

    def wait(self, request: Wait, _: Call) -> Waited:
        """Raises: BadRequest (nothing was named), NotRunning (the daemon leaves, and they have not
        ended).
        """
        if not request.selector.named:
            raise BadRequest("name the jobs to wait for, or --all")
        ranges = self._meant(request.selector)
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        look = self._look(request)
        # Those that finish meanwhile are kept until we have told how.
        with self._notifier.awaiting(Within(ranges)) if self._keeping else nullcontext():
            while True:
                last = self._notifier.closed
                done = look(ranges, until)
                if done or time.monotonic() >= until:
                    return self._waited(request, ranges, done=done)
                if last:
                    raise NotRunning(LEAVING)

    def _meant(self, selector: Selector) -> Ranges:
        """The jobs to wait for, as they are now. Without a filter they need no look."""
        chosen = filter_of(selector)
        if chosen == EVERYTHING:
            last = self._reader.last_id()
            return merge_ranges((low, min(high, last)) for low, high in selector.ids or [(1, last)])
        return self._selection.ranges(selector.ids, chosen)

    # --- the wait itself --------------------------------------------------------------------------

    def _look(self, request: Wait) -> Callable[[Ranges, float], bool]:
        """What waits until there may be news; True: it has come to what is waited for."""
        if request.running:
            return self._until_running
        if request.fail_fast:
            return self._until_failed
        return self._until_one if request.any else self._until_all

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

    def _until_failed(self, ranges: Ranges, until: float) -> bool:
        """Wait until another one has finished. True: one did not complete, or none is left."""
        waiter = self._notifier.register_any(Within(ranges))
        try:
            if self._reader.one_of(_UNCOMPLETED, ranges) is not None:
                return True
            if self._reader.one_of(UNFINISHED, ranges) is None:
                return True
            waiter.wait(until - time.monotonic())
            return False
        finally:
            self._notifier.unregister(waiter)

    def _until_running(self, ranges: Ranges, until: float) -> bool:
        """Wait until something has happened. True: none is pending."""
        seen = self._notifier.last_event
        if self._reader.one_of([State.PENDING], ranges) is None:
            return True
        if self._notifier.wait_event(seen, until - time.monotonic()):
            time.sleep(_BREATH_S)
        return False

    def _until_finished(self, waiter: Waiter, ranges: Ranges, until: float) -> bool:
        try:
            # Those that ended before the notifier knew of the waiter will not be told again, nor
            # will anything be of those that are removed.
            if self._reader.one_of(FINISHED, ranges) is not None:
                return True
            if self._reader.one_of(UNFINISHED, ranges) is None:
                return True
            return waiter.wait(until - time.monotonic())
        finally:
            self._notifier.unregister(waiter)

    # --- what is told -----------------------------------------------------------------------------

    def _waited(self, request: Wait, ranges: Ranges, *, done: bool) -> Waited:
        # What is told of them is how they were when it had come to that: a restart comes later.
        with self._reader.moment() as reader:
            one = _one(reader, request.selector, ranges)
            counts = reader.count_within(ranges) if one is None else {one.state: 1}
            total = sum(counts.values())
            done = done and request.is_met(counts)
            states = FINISHED if request.any else () if total == 1 else _UNCOMPLETED
            rows: Sequence[JobRow] = []
            if done:
                rows = _told(reader, ranges, states) if one is None else [one]
            missing = Selection(reader).missing(request.selector) if one is None else []
            array = _array(reader, ranges, counts)
        lines = {row.id: self._last_line(row) for row in rows if row.state is State.FAILED}
        if not self._ledger.busy:
            self._workspaces.release()
        return Waited(
            done=done,
            total=total,
            counts=dict.fromkeys(State, 0) | counts,
            jobs=[*self._shown.of(rows)],
            last_lines=lines,
            missing=missing,
            ids=[*ranges],
            array=array,
        )

    def _last_line(self, row: JobRow) -> str:
        return last_line(self._workspaces.end_of(row.engine, row.id, row.attempt, WINDOW))


def _one(reader: Reader, selector: Selector, ranges: Ranges) -> JobRow | None:
    """The job, where one is named by its number, and is there.

    Most waits are for one job, and whoever waits for it waits for each look at the database.
    """
    if len(ranges) != 1 or selector.ids != [*ranges]:
        return None
    ((first, last),) = ranges
    return reader.job(first) if first == last else None


def _told(reader: Reader, ranges: Ranges, states: tuple[State, ...]) -> Sequence[JobRow]:
    """Those of them whose ends are told one by one."""
    found = Selection(reader).jobs(ranges, Filter(states=states)) if ranges else iter(())
    return reader.jobs(reader.fitting([job for job, _ in islice(found, _TOLD)]))


def _array(reader: Reader, ranges: Ranges, counts: dict[State, int]) -> Array | None:
    """What these are, where that is one array or batch, and all of it."""
    if len(ranges) != 1:
        return None
    (whole,) = ranges
    ends = None
    if arrays_of(reader, whole[:1]).get(whole[0]) == whole:
        ends = ends_of(reader, ArrayRow(*whole))
    if ends is None:
        return None
    return array_view(ArrayRow(*whole), ends, counts)
