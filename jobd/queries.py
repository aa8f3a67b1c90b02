"""The use cases that only look: list, show, output, events, wait, status."""

from __future__ import annotations

import builtins
import time
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from jobd.clock import now_us
from jobd.contract.errors import BadRequest, NotFound
from jobd.contract.models import (
    EventPage,
    Events,
    Job,
    List,
    Output,
    Page,
    Piece,
    Selector,
    Show,
    Shown,
    State,
    Wait,
    Waited,
)
from jobd.contract.paths import Paths
from jobd.contract.wire import MAX_WAIT
from jobd.core.ledger import Ledger
from jobd.core.progress import last_line
from jobd.hub import Hub
from jobd.inquiry import Inquiry
from jobd.outputs import PIECE, read_piece, read_tail
from jobd.selection import Selection, filter_of, merge_ranges
from jobd.store.reader import SECTIONS, Key, Ranges, Reader, key_of
from jobd.store.records import EventRow, Filter, JobRow
from jobd.views import Views, event, path_text

_PAGE: Final = 500
"""Jobs in one reply."""
_FOLLOW_EVERY: Final = 0.1
"""Seconds between two looks at an output that somebody follows."""
_UNCOMPLETED: Final = 1000
"""Jobs that did not complete, in the answer to a wait."""
_HISTORY: Final = 1000
"""Events of one job that are shown."""
_UNFINISHED: Final = Filter(states=(State.PENDING, State.RUNNING))


class Queries:
    def __init__(
        self,
        *,
        paths: Paths,
        ledger: Ledger,
        reader: Reader,
        selection: Selection,
        hub: Hub,
        views: Views,
    ) -> None:
        self._paths = paths
        self._ledger = ledger
        self._reader = reader
        self._selection = selection
        self._hub = hub
        self._views = views
        self._inquiry = Inquiry(ledger, reader)

    # --- list -----------------------------------------------------------------------------

    def list(self, request: List) -> Page:
        limits = {
            "running": request.running,
            "pending": request.pending,
            "finished": request.finished,
        }
        section, behind, given = _read_cursor(request.cursor)
        total = _PAGE if request.limit is None else min(_PAGE, request.limit - given)
        rows: Sequence[JobRow] = []
        following: str | None = None
        for name in SECTIONS[SECTIONS.index(section) :]:
            room = total - len(rows)
            limit = limits[name]
            if limit is not None:
                room = min(room, limit)
            page = self._section(name, request.selector, behind, room)
            rows = [*rows, *page]
            behind = None
            if len(rows) >= total:
                following = f"{name}:{':'.join(map(str, key_of(name, rows[-1])))}" if rows else None
                break
        more = request.limit is None or given + len(rows) < request.limit
        return Page(
            jobs=self._shown(rows),
            next=f"{following}:{given + len(rows)}" if following and more else None,
            counts=dict(self._ledger.counts),
            missing=self._selection.missing(request.selector) if request.cursor is None else [],
        )

    def _section(
        self, name: str, selector: Selector, behind: Key | None, room: int
    ) -> Sequence[JobRow]:
        if room <= 0 or not _may_hold(name, selector.states):
            return []
        chosen = filter_of(selector)
        if not selector.all:
            chosen = replace(chosen, ranges=tuple(selector.ids))
        return self._reader.page(name, chosen, behind, room)

    # --- show -----------------------------------------------------------------------------

    def show(self, request: Show) -> Shown:
        row = self._row(request.id)
        events = self._reader.events_of(row.id, _HISTORY)
        attempts = self._reader.attempts(row.id)
        return Shown(
            job=self._shown([row])[0],
            attempts=[self._views.attempt(row.id, attempt) for attempt in attempts],
            events=[event(found) for found in events],
            why=self._inquiry.why(row, now_us() / 1e6) if row.state is State.PENDING else None,
            environment=self._reader.environment(row.environment) if request.environment else None,
        )

    def _row(self, job: int) -> JobRow:
        row = self._reader.job(job)
        if row is None:
            raise NotFound(f"job {job} does not exist")
        return row

    # --- output ---------------------------------------------------------------------------

    def output(self, request: Output) -> Piece:
        """Raises: NotFound (no such job or attempt, or its output is gone)."""
        job = self._reader.latest_started() if request.id is None else request.id
        if job is None:
            raise NotFound("no job has been started yet")
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        while True:
            seen = self._hub.last_event
            piece = self._piece(job, request)
            left = until - time.monotonic()
            if piece.data or piece.ended or left <= 0:
                return piece
            if piece.state is State.RUNNING:
                time.sleep(min(_FOLLOW_EVERY, left))
            else:
                self._hub.wait_event(seen, left)

    def _piece(self, job: int, request: Output) -> Piece:
        # The state first: what the file then holds is all that a finished attempt ever wrote.
        row = self._row(job)
        attempt = request.attempt or row.attempt
        if attempt > row.attempt:
            raise NotFound(f"job {job} has no attempt {attempt}")
        current = attempt == row.attempt and not row.state.finished
        # A job that was restarted and waits: its coming attempt has no output yet.
        if attempt == 0 or (row.state is State.PENDING and request.attempt is None):
            return self._no_output(row, request.offset, attempt + (row.state is State.PENDING))
        path = self._paths.output_of(job, attempt)
        over = not current or row.state is State.PENDING
        missing_ok = not over or row.pid is None
        data, offset = read_piece(path, request.offset, request.tail, missing_ok=missing_ok)
        return Piece(
            id=job,
            attempt=attempt,
            data=data,
            offset=offset,
            ended=over and len(data) < PIECE,
            state=row.state,
            path=path_text(path),
        )

    def _no_output(self, row: JobRow, offset: int, attempt: int) -> Piece:
        path = path_text(self._paths.output_of(row.id, attempt)) if attempt else ""
        return Piece(
            id=row.id,
            attempt=attempt,
            data=b"",
            offset=offset,
            ended=row.state.finished,
            state=row.state,
            path=path,
        )

    # --- events ---------------------------------------------------------------------------

    def events(self, request: Events) -> EventPage:
        ranges = [] if request.selector.all else merge_ranges(request.selector.ids)
        after = request.after
        if after is None:
            return EventPage(events=[], next=self._hub.last_event, unfinished=self._left(ranges))
        until = time.monotonic() + min(request.wait, MAX_WAIT)
        while True:
            newest = self._hub.last_event
            rows = self._reader.events(after, ranges, request.limit) if newest > after else []
            left = until - time.monotonic()
            if rows or left <= 0:
                return self._event_page(request, ranges, rows, max(after, newest))
            after = max(after, newest)
            self._hub.wait_event(after, left)

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
            events=[event(row) for row in rows],
            next=rows[-1].seq if rows else newest,
            unfinished=unfinished,
        )

    def _left(self, ranges: Ranges) -> int:
        """1 while one of these jobs has not finished. Memory is ahead of the disk: if it says
        that one is left, so it is; that none is left only the disk can say.
        """
        ledger = self._ledger
        if not ranges and ledger.counts[State.PENDING] + ledger.counts[State.RUNNING]:
            return 1
        return int(self._reader.any_unfinished(ranges))

    # --- wait -----------------------------------------------------------------------------

    def wait(self, request: Wait) -> Waited:
        """Raises: BadRequest (nothing was named)."""
        selector = request.selector
        if not selector.named:
            raise BadRequest("name the jobs to wait for, or --all")
        states = selector.states
        if selector.all and not selector.ids and not selector.filtered:
            states = [State.PENDING, State.RUNNING]
        chosen = replace(filter_of(selector), states=tuple(states))
        ids = [job for job, _ in self._selection.jobs(selector.ids, chosen)]
        waiter = self._hub.register(ids, any_one=request.any)
        try:
            # Those that ended before the hub knew of us will not be told again.
            left = {job for job, _ in self._selection.jobs(_as_ranges(ids), _UNFINISHED)}
            for job in ids:
                if job not in left:
                    waiter.finished(job)
            done = not ids or waiter.wait(min(request.wait, MAX_WAIT))
        finally:
            self._hub.unregister(waiter, ids)
        return self._waited(request, ids, done=done)

    def _waited(self, request: Wait, ids: Sequence[int], *, done: bool) -> Waited:
        ranges = _as_ranges(ids)
        found = dict(self._selection.jobs(ranges)) if ids else {}
        counts = dict.fromkeys(State, 0)
        for state in found.values():
            counts[state] += 1
        done = done and (request.any or not counts[State.PENDING] + counts[State.RUNNING])
        bad = [job for job, state in found.items() if state in (State.FAILED, State.STOPPED)]
        wanted = list(found) if len(found) == 1 else bad[:_UNCOMPLETED]
        jobs = [*self._jobs(wanted)] if done else []
        return Waited(
            done=done,
            total=len(found),
            counts=counts,
            jobs=jobs,
            last_lines={job.id: self._last_line(job) for job in jobs if job.state is State.FAILED},
            missing=self._selection.missing(request.selector),
            ids=ranges,
        )

    def _jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        return self._shown(self._reader.jobs(ids))

    def _shown(self, rows: Sequence[JobRow]) -> builtins.list[Job]:
        now, reason, parents = now_us(), self._inquiry.reason, self._reader.parents(rows)
        return [self._views.job(row, now, reason(row), parents.get(row.id, ())) for row in rows]

    def _last_line(self, job: Job) -> str:
        return last_line(read_tail(self._paths.output_of(job.id, job.attempt)))


def _as_ranges(ids: Sequence[int]) -> list[tuple[int, int]]:
    return merge_ranges((job, job) for job in ids)


def _may_hold(section: str, states: Sequence[State]) -> bool:
    if not states:
        return True
    if section == "finished":
        return any(state.finished for state in states)
    return State(section) in states


def _read_cursor(cursor: str | None) -> tuple[str, Key | None, int]:
    """Section, key, and how many jobs the pages before had."""
    if cursor is None:
        return SECTIONS[0], None, 0
    try:
        section, first, second, given = cursor.split(":")
        SECTIONS.index(section)
        return section, (int(first), int(second)), int(given)
    except ValueError:
        raise BadRequest(f"cursor: {cursor!r} is none of ours") from None
