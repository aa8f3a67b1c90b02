"""One look at the queue: some requests, each for no more than is on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace

from jobctl.tui.estimate import until_idle
from jobctl.tui.sight import Filter, Order, Part, Row, Scope, Section, Sight
from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import NotFound, VersionMismatch
from jobd.contract.models import DaemonStatus, Job, List, Page, Selector, Shown
from jobd.contract.states import FINISHED, State

_SEARCHED: Final = 500
"""Jobs of each section in whose command a word is looked for."""
_SAMPLED: Final = 50
"""Jobs that run, and that ended last, by which it is estimated how long others take."""
_STANDARD: Final = (Section.RUNNING, Section.WAITING, Section.FAILED, Section.FINISHED)


def look(client: Client, scope: Scope) -> Sight:
    """Raises: JobdError."""
    status = client.status(gpus=True)
    first, parts = _parts(client, scope)
    return Sight(
        parts=[replace(part, rows=_sorted(part.rows, scope.order)) for part in parts],
        counts=first.counts,
        status=status,
        shown=_shown(client, scope.job),
        paused=[group.name for group in client.groups().groups if group.paused],
        left_s=_left(client, status),
    )


def _left(client: Client, status: DaemonStatus) -> float | None:
    """Of the whole queue, whatever is shown of it: elements of arrays and what is filtered out take
    their time, too.
    """
    if not status.jobs.get(State.PENDING):
        return None
    page = client.list(List(running=_SAMPLED, pending=0, finished=_SAMPLED))
    running = [job for job in page.jobs if job.state is State.RUNNING]
    ended = [job for job in page.jobs if job.state in FINISHED]
    return until_idle(running, ended, status.jobs[State.PENDING], status.workers)


def _shown(client: Client, job: int | None) -> Shown | None:
    try:
        return None if job is None else client.show(job, recipe=False, usage=True)
    except NotFound:
        return None  # it was removed


def _parts(client: Client, scope: Scope) -> tuple[Page, list[Part]]:
    """The first page that was asked for, and the sections."""
    if scope.section is not Section.ALL:
        page, rows = _of_one(client, scope)
        return page, [_part(scope.section, rows, page, scope, scope.room)]
    request = List(
        selector=_selector(scope.filter), running=scope.room,
        pending=scope.some, finished=3 * scope.some, usage=True,
        collapsed=not scope.filter.selector.ids,
    )  # fmt: skip
    page = _list(client, request)
    failed = replace(
        request, finished=scope.some, running=0, pending=0, collapsed=False, usage=False
    )
    failed = replace(failed, selector=_only(failed.selector, Section.FAILED))
    found = {section: _rows(page, section) for section in _STANDARD}
    found[Section.FAILED] = _rows(_list(client, failed), Section.FAILED)
    arrays = [row for row in _rows(page, Section.FAILED) if row.array is not None]
    found[Section.FINISHED] = (arrays + found[Section.FINISHED])[: scope.some]
    if scope.filter.word:
        _add_by_command(client, scope, found)
    rooms = {Section.RUNNING: scope.room}
    # Elements that failed have rows of their own; for all others stands the array.
    told = [row for rows in found.values() for row in rows if row.array is not None]
    within: dict[Section, int]
    within = {s: sum(row.jobs_in(s) for row in told) for s in found if s is not Section.FAILED}
    return page, [
        _part(section, rows, page, scope, rooms.get(section, scope.some), within.get(section, 0))
        for section, rows in found.items()
        if rows or not scope.filter.selector.filtered
    ]


def _of_one(client: Client, scope: Scope) -> tuple[Page, list[Row]]:
    """The jobs of a section alone, as many as there is room for."""
    selector = _only(_selector(scope.filter), scope.section)
    request = List(selector=selector, limit=scope.room, usage=True)
    pages = list(follow.pages(client, request))
    rows = [Row(job) for page in pages for job in page.jobs]
    if scope.filter.word:
        found = {scope.section: rows}
        _add_by_command(client, scope, found)
        rows = found[scope.section]
    return pages[0], rows[: scope.room]


def _add_by_command(client: Client, scope: Scope, found: dict[Section, list[Row]]) -> None:
    """The daemon knows patterns of names alone."""
    anywhere = replace(scope.filter.selector, name="")
    for section, rows in found.items():
        known = {row.job.id for row in rows if row.array is None}
        inside = [row.array for row in rows if row.array is not None]
        request = List(selector=_only(anywhere, section), limit=_SEARCHED, usage=False)
        jobs = (job for page in follow.pages(client, request) for job in page.jobs)
        fresh = (
            Row(job)
            for job in jobs
            if scope.filter.word in job.command.lower() and job.id not in known
            if not any(array.first <= job.id <= array.last for array in inside)
        )
        found[section] = [*rows, *islice(fresh, max(0, scope.room - len(rows)))]


def _selector(filter_: Filter) -> Selector:
    return filter_.selector if filter_.selector.named else Selector()


def _only(selector: Selector, section: Section) -> Selector:
    return replace(selector, states=list(section.states))


def _list(client: Client, request: List) -> Page:
    try:
        return client.list(request)
    except VersionMismatch:
        # A daemon of an earlier version lists elements, and looks at nothing.
        return client.list(replace(request, collapsed=False, usage=False))


def _rows(page: Page, section: Section) -> list[Row]:
    jobs = (job for job in page.jobs if job.state in section.states)
    return [Row(job, page.arrays.get(job.id)) for job in jobs]


def _part(
    section: Section, rows: Sequence[Row], page: Page, scope: Scope, room: int, within: int = 0
) -> Part:
    """`within`: jobs of the section for which an array stands, wherever that has its row."""
    is_full = len(rows) >= room
    if scope.filter.selector.filtered or scope.filter.selector.ids:
        return Part(section, rows, None if is_full else len(rows), None if is_full else 0)
    total = sum(page.counts.get(state, 0) for state in section.states)
    single = sum(row.array is None for row in rows)
    return Part(section, rows, total, max(0, total - single - within))


def _sorted(rows: Sequence[Row], order: Order) -> Sequence[Row]:
    if order is Order.QUEUE:
        return rows
    return sorted(rows, key=lambda row: _key(row.job, order))


def _key(job: Job, order: Order) -> Any:  # noqa: ANN401 # whatever can be compared
    if order is Order.NAME:
        return (job.name or job.command).casefold()
    value = {
        Order.TIME: job.run_s,
        Order.CPU: job.cpu_s,
        Order.MEMORY: job.rss_kb or job.max_rss_kb,
    }[order]
    return -(value or 0.0)
