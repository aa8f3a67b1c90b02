"""As many jobs as a screen has room for: what `ls` shows a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from jobd.client import follow
from jobd.contract.errors import VersionMismatch
from jobd.contract.models import Array, Job, List, Page, Selector
from jobd.contract.states import FINISHED, State

if TYPE_CHECKING:
    from jobd.client.client import Client

_NEXT: Final = 3
"""Where neither fits, one row of so many is for what comes next, the others for what has ended."""


class Screenful(Struct, frozen=True):
    """The jobs that are shown, and what is to be said of the others."""

    jobs: list[Job]
    counts: dict[State, int]
    """Of all that is meant, where that is known; else of those that were seen."""
    more: int | None = 0
    """How many are not shown; None: some, and nobody has counted them."""
    missing: Sequence[int] = ()
    arrays: dict[int, Array] = {}
    """Those for which one of the jobs stands, by its id."""


def fitting(
    client: Client, selector: Selector, room: int, *, expand: bool = False, usage: bool = False
) -> Screenful:
    """Of what a selector means `room` rows at most: some of each section.

    An array is one of them, unless `expand`, or single jobs or states are named. `usage`: also
    what those that run use.
    """
    request = List(selector=selector, running=room, pending=room, finished=room, usage=usage)
    collapsed = not (expand or selector.ids or selector.states)
    pages = _pages(client, replace(request, collapsed=collapsed))
    jobs = list(chain.from_iterable(page.jobs for page in pages))
    return _seen(pages, selector, jobs, _chosen(jobs, room), is_cut=_is_cut(jobs, room))


def _pages(client: Client, request: List) -> list[Page]:
    try:
        return list(follow.pages(client, request))
    except VersionMismatch:
        if not request.collapsed:
            raise
    # A daemon of an earlier version lists elements.
    return list(follow.pages(client, replace(request, collapsed=False)))


def first(
    client: Client, selector: Selector, most: int | None, *, usage: bool = False
) -> Screenful:
    """The first of the list; None: all of it."""
    pages = list(follow.pages(client, List(selector=selector, limit=most, usage=usage)))
    jobs = list(chain.from_iterable(page.jobs for page in pages))
    return _seen(pages, selector, jobs, jobs, is_cut=len(jobs) == most)


def of_page(page: Page, most: int | None) -> Screenful:
    """The first of all that is meant, where that has been read and put into another order."""
    shown = page.jobs[:most]
    more = len(page.jobs) - len(shown)
    return Screenful(shown, dict(Counter(job.state for job in page.jobs)), more, page.missing)


def _seen(
    pages: Sequence[Page],
    selector: Selector,
    jobs: Sequence[Job],
    shown: list[Job],
    *,
    is_cut: bool,
) -> Screenful:
    """`is_cut`: there may be jobs beside those that were read."""
    arrays = pages[0].arrays
    counts = _known_counts(pages[0], selector)
    if counts is None:
        counts = _counted(jobs, arrays)
        more = None if is_cut else sum(counts.values()) - sum(_counted(shown, arrays).values())
    else:
        more = max(0, sum(counts.values()) - sum(_counted(shown, arrays).values()))
    return Screenful(shown, counts, more, [job for page in pages for job in page.missing], arrays)


def _counted(jobs: Sequence[Job], arrays: dict[int, Array]) -> dict[State, int]:
    """Jobs by state, where one that stands for an array counts as all its elements."""
    counts = Counter[State]()
    for job in jobs:
        counts.update(arrays[job.id].counts if job.id in arrays else [job.state])
    return dict(counts)


def _known_counts(page: Page, selector: Selector) -> dict[State, int] | None:
    """How many are meant in each state; None where nobody has counted them."""
    if not page.counts or selector not in (Selector(states=selector.states), Selector(all=True)):
        return None
    states = selector.states or [*State]
    return {state: count for state, count in page.counts.items() if state in states}


def _is_cut(jobs: Sequence[Job], room: int) -> bool:
    """Of some section there were as many as were asked for."""
    seen = Counter("finished" if job.state in FINISHED else job.state for job in jobs)
    return any(count >= room for count in seen.values())


def _chosen(jobs: Sequence[Job], room: int) -> list[Job]:
    """All that run first; what comes next and what has ended share the rest."""
    running = [job for job in jobs if job.state is State.RUNNING][:room]
    pending = [job for job in jobs if job.state is State.PENDING]
    finished = [job for job in jobs if job.state in FINISHED]
    rest = room - len(running)
    coming = max(rest // _NEXT, rest - len(finished))
    pending = pending[:coming]
    return [*running, *pending, *finished[: rest - len(pending)]]
