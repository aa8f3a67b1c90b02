"""Repeated requests as one thing: pages to the end, events as they come, until it is done.

Each round is a short call with a cursor, so all of them go on after the daemon restarts. An answer
that leads nowhere is an error (JobdError, `jobd.client.stalls`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from jobd.client.client import Client
from jobd.client.stalls import MOST_ATTEMPTS, Pages, Waits, check_events, check_ids
from jobd.contract.errors import VersionMismatch
from jobd.contract.id_set import IdSet
from jobd.contract.models import (
    Deliveries,
    EventPage,
    Events,
    List,
    Notifications,
    Page,
    Selector,
    Wait,
    Waited,
)
from jobd.contract.ranges import ids_in, merge_ranges
from jobd.contract.states import FINISHED, UNFINISHED
from jobd.contract.wire import MAX_WAIT


def pages(client: Client, request: List) -> Iterator[Page]:
    """Every page of a list; its limits are those of the whole.

    Jobs move while one page after the other is asked for. None is given twice, and a job that
    slipped from what was still to come into what was past comes at the end.
    """
    page, request = _first(client, request)
    check_ids(page)
    yield page
    if page.next is None:
        return
    began, moves, seen = page.seq, page.moves, IdSet()
    _fresh(page, seen)
    rest = _unseen(client, msgspec.structs.replace(request, cursor=page.next), seen)
    for page in rest:  # the last one says up to which event it is true
        yield page
    limits = (request.running, request.pending, request.finished, request.limit)
    if began is None or page.seq is None or limits != (None,) * len(limits):
        return
    moved = {job for job in _moved(client, request.selector, began, page.seq) if job not in seen}
    if moved:
        selector = msgspec.structs.replace(request.selector, ids=ranges(moved), all=False)
        yield from _unseen(client, msgspec.structs.replace(request, selector=selector), seen)
    if page.moves != moves:
        # Its time has come, or what it waited for has: it stands further in front.
        yield from _unseen(client, msgspec.structs.replace(request, running=0, finished=0), seen)


def _first(client: Client, request: List) -> tuple[Page, List]:
    """The first page, and how the others are asked for: a daemon of an earlier version does not
    look at what jobs use.
    """
    try:
        return client.list(request), request
    except VersionMismatch:
        if not request.usage:
            raise
    request = msgspec.structs.replace(request, usage=False)
    return client.list(request), request


def _unseen(client: Client, request: List, seen: IdSet) -> Iterator[Page]:
    """Its pages, with those of the jobs alone that were not seen before."""
    cursor, way = request.cursor, Pages()
    while True:
        page = client.list(msgspec.structs.replace(request, cursor=cursor))
        check_ids(page)
        page = _fresh(page, seen)
        way.check(page, fresh=bool(page.jobs or page.ids))
        # What is gone by now was there when it was asked for.
        yield msgspec.structs.replace(page, missing=[])
        if (cursor := page.next) is None:
            return


def _fresh(page: Page, seen: IdSet) -> Page:
    """What of it was not seen before; from now on it is."""
    jobs = [job for job in page.jobs if job.id not in seen]
    for job in jobs:
        seen.add(job.id)
    ids = [left for run in page.ids for left in seen.take(run)]
    return msgspec.structs.replace(page, jobs=jobs, ids=ids)


def _moved(client: Client, selector: Selector, after: int, until: int) -> set[int]:
    """All that something has happened to between these two events."""
    found: set[int] = set()
    request = Events(selector=Selector(ids=selector.ids), after=after)
    while after < until and (page := client.events(request)).events:
        check_events(after, page)
        found.update(event.job for event in page.events if event.job is not None)
        after = page.next
        request = msgspec.structs.replace(request, after=after)
    return found


def ids_of(client: Client, selector: Selector) -> tuple[list[int], list[int]]:
    """The ids of what is selected just now, and the single ones that do not exist."""
    found: list[int] = []
    missing: set[int] = set()
    for page in pages(client, List(selector=selector, only_ids=True)):
        found += chain.from_iterable(map(ids_in, page.ids))
        missing.update(page.missing)
    return sorted(found), sorted(missing)


def ranges(ids: Iterable[int]) -> list[tuple[int, int]]:
    """`[1, 2, 3, 7]` is `[(1, 3), (7, 7)]`."""
    return merge_ranges((job, job) for job in ids)


def settled(client: Client, selector: Selector) -> Selector | None:
    """A selector that goes on meaning the same jobs while their states change.

    `--all` means all that there are now, a filter what it matches now. None: that is nothing.
    """
    if not selector.all and not selector.filtered:
        return selector
    now = client.wait(Wait(selector=selector, wait=0))
    chosen = [*now.ids, *((job, job) for job in now.missing)]
    return Selector(ids=chosen) if chosen else None


def ended(client: Client, job: int, attempt: int) -> Waited | None:
    """How it ended with this attempt; None: it has not, or not with that."""
    waited = client.wait(Wait(selector=Selector(ids=[(job, job)]), wait=0))
    return waited if waited.done and any(job.attempt <= attempt for job in waited.jobs) else None


def until_finished(
    client: Client,
    selector: Selector,
    *,
    any_of: bool = False,
    timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Waited:
    """Wait for the jobs; `done` is False only where `timeout` (seconds) ran out."""
    return until_met(client, Wait(selector=selector, any=any_of), timeout=timeout, clock=clock)


def until_met(
    client: Client,
    request: Wait,
    *,
    timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Waited:
    """Wait for what the request is for, as often as it takes; `done` is False only where `timeout`
    (seconds) ran out.
    """
    deadline = None if timeout is None else clock() + timeout
    waits, counts = Waits(clock), None
    while True:
        left = MAX_WAIT if deadline is None else max(0.0, deadline - clock())
        wait = min(MAX_WAIT, left)
        waited = client.wait(msgspec.structs.replace(request, wait=wait))
        if waited.done or (deadline is not None and clock() >= deadline):
            return waited
        waits.check(wait, news=waited.counts != counts)
        counts = waited.counts


def until_delivered(client: Client, messages: Sequence[int]) -> Deliveries:
    """Wait until none of these is on its way any more."""
    waits, before = Waits(), None
    while True:
        found = client.notifications(
            Notifications(ids=list(messages), limit=max(1, len(messages)), wait=MAX_WAIT)
        )
        if found.is_over:
            return found
        waits.check(MAX_WAIT, news=found != before)
        before = found


def until_idle(
    client: Client,
    selector: Selector,
    *,
    timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Waited:
    """Wait until none of what filters (or `all`) select is left to run, also what comes meanwhile;
    then it is about all of it that has ended since. Where `timeout` (seconds) ran out, `done` is
    False, and it is about what was left to run at the latest look.
    """
    after = client.events(Events(after=None)).next
    deadline = None if timeout is None else clock() + timeout
    chosen = msgspec.structs.replace(selector, states=[], all=False)
    left = msgspec.structs.replace(chosen, states=selector.states or [*UNFINISHED])
    waits, before = Waits(clock, MOST_ATTEMPTS), None
    while (now := settled(client, left)) is not None:
        waits.check(MAX_WAIT, news=now != before)
        before = now
        seconds = None if deadline is None else max(0.0, deadline - clock())
        waited = until_finished(client, now, timeout=seconds, clock=clock)
        if not waited.done:
            return waited
    ended = ranges(_ended_since(client, after))
    if not ended:
        return Waited(done=True, total=0)
    request = Wait(selector=msgspec.structs.replace(chosen, ids=ended, states=[*FINISHED]))
    # Removed by now, or of no interest: neither is missing.
    return msgspec.structs.replace(client.wait(request), missing=[])


def _ended_since(client: Client, after: int) -> set[int]:
    """The jobs that came to an end behind this event."""
    pages = history(client, Selector(), after, follow=False)
    ends = {state.value for state in FINISHED}
    return {
        event.job
        for page in pages
        for event in page.events
        if event.job is not None and event.event in ends
    }


def changes(client: Client, selector: Selector, after: int) -> Iterator[EventPage]:
    """Pages of events behind `after`, until all that is selected has finished. Nobody is asked for
    anything behind that: the daemon may leave then.
    """
    wait, waits = 0.0, Waits()
    while True:
        page = client.events(Events(selector=selector, after=after, wait=wait, follows=True))
        check_events(after, page)
        waits.check(wait, news=bool(page.events))
        after = page.next
        yield page
        if not page.unfinished:
            return
        wait = MAX_WAIT


def history(client: Client, selector: Selector, after: int, *, follow: bool) -> Iterator[EventPage]:
    """Pages of events behind `after`, up to the newest one, or with `follow` without end."""
    wait, waits = MAX_WAIT if follow else 0.0, Waits()
    while True:
        page = client.events(Events(selector=selector, after=after, wait=wait))
        check_events(after, page)
        waits.check(wait, news=bool(page.events))
        yield page
        if not page.events and not follow:
            return
        after = page.next


def before_last(client: Client, selector: Selector, count: int) -> int:
    """Behind which event the last `count` ones begin. Those of single jobs are all read."""
    newest = client.events(Events(after=None)).next
    if not selector.ids:
        return max(0, newest - count)
    if count == 0:
        return newest
    last: deque[int] = deque(maxlen=count)
    for page in history(client, selector, 0, follow=False):
        last.extend(event.seq for event in page.events)
    return last[0] - 1 if last else newest


def existing(client: Client, selector: Selector) -> Selector | None:
    """The same without the ids that do not exist; None if nothing is left."""
    ids, _ = ids_of(client, selector)
    return Selector(ids=ranges(ids)) if ids else None
