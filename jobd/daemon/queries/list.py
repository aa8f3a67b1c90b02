"""`list`: jobs, a page at a time, section by section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from jobd.contract.call import Call
from jobd.contract.models import MAX_PAGE_IDS, Array, List, Page
from jobd.contract.ranges import runs_of
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.selection import Selection, filter_of
from jobd.daemon.queries.collapsed import Collapsed
from jobd.daemon.queries.cursor import Position
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.daemon.queries.traffic import Traffic
from jobd.daemon.queries.views import JobViews
from jobd.store.pages import Key
from jobd.store.reader import Reader
from jobd.store.records import Filter, JobRow

T = TypeVar("T")
_PAGE: Final = 500
"""Jobs in one reply."""
_SHORT_PAGE: Final = 50
"""The same while the queue is busy: nobody waits for long until one is made."""
_LARGE: Final = 1024 * 1024
"""Bytes of commands after which a page has no other section."""


class ListQuery:
    """Clients' threads call. A page is true of one moment, and the next one of a later."""

    def __init__(
        self,
        reader: Reader,
        ledger: Ledger,
        notifier: Notifier,
        selection: Selection,
        inquiry: Inquiry,
        shown: JobViews,
        *,
        traffic: Traffic,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._notifier = notifier
        self._selection = selection
        self._inquiry = inquiry
        self._shown = shown
        self._traffic = traffic
        self._collapsed = Collapsed(reader)

    def list(self, request: List, _: Call) -> Page:
        """Raises: BadRequest (the cursor is none of ours)."""
        with self._traffic.way_given():
            return self._listed(request)

    def _listed(self, request: List) -> Page:
        seq, moves = self._notifier.last_event, self._ledger.moves
        if request.newest is not None:
            newest, latest = self._collapsed.newest(request.newest)
            return Page(jobs=[], ids=runs_of(newest), arrays=latest)
        arrays: dict[int, Array] = {}
        found: tuple[Sequence[JobRow], Sequence[int], Position | None]
        if request.collapsed:
            chosen, arrays = self._collapsed.ids(request)
            found = self._rows(chosen), (), None
        else:
            found = self._page(request)
        rows, ids, position = found
        is_first = request.cursor is None
        return Page(
            jobs=self._shown.of(rows, usage=request.usage),
            next=None if position is None else position.cursor(),
            counts=dict(self._ledger.counts),
            busy=self._ledger.busy,
            missing=self._selection.missing(request.selector) if is_first else [],
            seq=seq,
            # The first page says how it was before, the others how it is behind them.
            moves=moves if is_first else self._ledger.moves,
            lacks=self._inquiry.lacks(rows),
            ids=runs_of(ids),
            arrays=arrays,
        )

    def _rows(self, ids: Sequence[int]) -> Sequence[JobRow]:
        """In this order; those that have been removed meanwhile are left out."""
        found = {row.id: row for row in self._reader.jobs(self._reader.fitting(ids))}
        return [found[job] for job in ids if job in found]

    def _page(self, request: List) -> tuple[Sequence[JobRow], Sequence[int], Position | None]:
        """The rows of a page or its ids, and where the next one begins; None: this was the last."""
        # A job that starts or ends meanwhile must not slip from one section into one passed by.
        if request.only_ids:
            with self._reader.id_pages() as ids_of:
                ids, position = _filled(ids_of, request, MAX_PAGE_IDS, lambda _: False)
            return [], ids, position
        most = _SHORT_PAGE if self._traffic.is_heavy else _PAGE
        with self._reader.pages() as rows_of:
            rows, position = _filled(rows_of, request, most, _are_large)
        return rows, [], position


def _filled(
    get: Callable[[str, Filter, Key | None, int], tuple[Sequence[T], Key | None]],
    request: List,
    most: int,
    is_enough: Callable[[Sequence[T]], bool],
) -> tuple[list[T], Position | None]:
    """A page of `most` at most, section by section."""
    found: list[T] = []
    position: Position | None = Position.of(request.cursor)
    chosen = replace(filter_of(request.selector), ranges=tuple(request.selector.ids))
    while position is not None and len(found) < most:
        left = position.room(request)
        room = most - len(found) if left is None else min(most - len(found), left)
        more: Sequence[T] = []
        behind = None
        if room > 0 and position.may_hold(request.selector.states):
            more, behind = get(position.section, chosen, position.behind, room)
        found += more
        position = position.after(len(more), behind)
        if (behind is not None and len(more) < room) or is_enough(found):
            break  # enough looked at, or shown, for one page
    return found, position


def _are_large(rows: Sequence[JobRow]) -> bool:
    return sum(len(word) for row in rows for word in row.spec.argv) > _LARGE
