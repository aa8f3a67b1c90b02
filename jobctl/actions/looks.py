"""What `watch` sees when it looks at the queue: what runs, the last lines of that, and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final

from msgspec.structs import replace

from jobctl.actions.tails import Tails
from jobd.client.client import Client
from jobd.contract.errors import VersionMismatch
from jobd.contract.models import Array, Event, Job, List, Page, Selector, Wait
from jobd.contract.overviews import Picture
from jobd.contract.ranges import Within, merge_ranges
from jobd.contract.states import UNFINISHED, EventName, State

_COUNTING_SHARE: Final = 20
"""What is counted is counted again after so many times as long as the counting took."""
_LONGEST_REST_S: Final = 2.0


class Looks:
    """Looks at some jobs, one look after the other. For one thread."""

    def __init__(
        self,
        client: Client,
        selector: Selector,
        *,
        expand: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`expand`: each element of an array is a row, not all of them together one."""
        self.tails = Tails(client, clock)
        self.rest = 0.0
        """Seconds for which nobody should look again, for what the latest look has cost."""
        self._client = client
        self._selector = selector
        self._clock = clock
        self._workers = 0
        self._counts: dict[State, int] = {}
        self._count_next = 0.0
        self._is_recount_due = bool(selector.ids)
        self._arrays = _Arrays(client, collapsed=not expand)

    def ask_workers(self) -> None:
        self._workers = self._client.status().workers

    def patience(self) -> float:
        """Seconds after which it is to be looked again, also where nothing has happened."""
        return max(0.0, self._count_next - self._clock()) if self._is_recount_due else inf

    def look(self, room: int, events: Sequence[Event], written: Iterable[int] | None) -> Picture:
        """What there is now, in so many rows; `events`: what has happened since the look before,
        `written`: which jobs have printed more, None where that is not known.
        """
        if any(event.job is None for event in events):
            self.ask_workers()
        began = self._clock()
        page = self._arrays.page(self._selector, room)
        ended = self._arrays.ended(page)
        self.rest = 0.0
        if page.arrays:
            self.rest = min(_LONGEST_REST_S, _COUNTING_SHARE * (self._clock() - began))
        whole = not self._selector.ids
        counts = page.counts if whole else self._selected(has_news=bool(events))
        single = [job for job in page.jobs if job.id not in page.arrays]
        shown = len(single)
        shown += sum(array.counts.get(State.RUNNING, 0) for array in page.arrays.values())
        return Picture(
            running=page.jobs,
            more=max(0, counts.get(State.RUNNING, 0) - shown),
            lines=self.tails.of(single, written),
            counts=counts,
            workers=self._workers if whole else None,
            busy=page.counts.get(State.RUNNING, 0) if page.busy is None else page.busy,
            arrays=page.arrays,
            ended=ended,
        )

    def told(self, events: Sequence[Event]) -> Sequence[Event]:
        """Without what the row of an array tells: how many of its elements have completed."""
        return self._arrays.told(events)

    def _selected(self, *, has_news: bool) -> dict[State, int]:
        """Counts of the selection. They cost as much as it is large: not too often, then."""
        began = self._clock()
        self._is_recount_due = self._is_recount_due or has_news
        if self._is_recount_due and began >= self._count_next:
            self._counts = self._client.wait(Wait(selector=self._selector, wait=0.0)).counts
            now = self._clock()
            self._count_next = now + _COUNTING_SHARE * (now - began)
            self._is_recount_due = False
        return self._counts


class _Arrays:
    """Which of what runs is an array or a batch, from one look to the next."""

    def __init__(self, client: Client, *, collapsed: bool) -> None:
        self._client = client
        self._collapsed = collapsed
        self._going: dict[int, Array] = {}
        """Those that have not ended yet, by their first id."""
        self._seen: list[tuple[int, int]] = []
        """Elements of all that there have been."""

    def page(self, selector: Selector, room: int) -> Page:
        """What runs now, arrays as one job each."""
        page = self._list(List(selector=selector, running=room, pending=0, finished=0))
        for array in page.arrays.values():
            if array.first not in self._going:
                self._going[array.first] = array
                self._seen = merge_ranges([*self._seen, (array.first, array.last)])
        return page

    def _list(self, request: List) -> Page:
        try:
            return self._client.list(replace(request, collapsed=self._collapsed))
        except VersionMismatch:
            if not self._collapsed:
                raise
        # A daemon of an earlier version lists elements.
        self._collapsed = False
        return self._client.list(request)

    def ended(self, page: Page) -> list[tuple[Job, Array]]:
        """Arrays that have ended since the look before, each with a job that stands for it.

        One of which nothing runs has ended only if nothing of it waits, either.
        """
        running = {array.first for array in page.arrays.values()}
        gone = [array for first, array in self._going.items() if first not in running]
        if not gone:
            return []
        ids = merge_ranges((array.first, array.last) for array in gone)
        most = len(gone)
        now = self._list(
            List(selector=Selector(ids=ids), running=most, pending=most, finished=most)
        )
        waiting = {
            array.first
            for array in now.arrays.values()
            if any(array.counts.get(state) for state in UNFINISHED)
        }
        for array in gone:
            if array.first not in waiting:
                del self._going[array.first]
        found = [(job, now.arrays[job.id]) for job in now.jobs if job.id in now.arrays]
        return [(job, array) for job, array in found if array.first not in waiting]

    def told(self, events: Sequence[Event]) -> Sequence[Event]:
        """Without the elements that have completed."""
        if not self._seen:
            return events
        is_seen = Within(self._seen)
        return [
            event for event in events
            if event.event != EventName.COMPLETED or event.job is None or not is_seen(event.job)
        ]  # fmt: skip
