"""`list`: jobs, a page at a time, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from jobd.contract.call import Call
from jobd.contract.models import List, Page, Selector
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.selection import Selection, filter_of
from jobd.daemon.queries.cursor import Place
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.daemon.queries.views import JobViews
from jobd.store.pages import Key
from jobd.store.reader import GetPage, Reader
from jobd.store.records import JobRow

_PAGE: Final = 500
"""Jobs in one reply."""
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
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._notifier = notifier
        self._selection = selection
        self._inquiry = inquiry
        self._shown = shown

    def list(self, request: List, _: Call) -> Page:
        """Raises: BadRequest (the cursor is none of ours)."""
        seq, moves = self._notifier.last_event, self._ledger.moves
        rows, place = self._page(request)
        is_first = request.cursor is None
        return Page(
            jobs=self._shown.of(rows),
            next=None if place is None else place.cursor(),
            counts=dict(self._ledger.counts),
            busy=self._ledger.busy,
            missing=self._selection.missing(request.selector) if is_first else [],
            seq=seq,
            # The first page says how it was before, the others how it is behind them.
            moves=moves if is_first else self._ledger.moves,
            lacks=self._inquiry.lacks(rows),
        )

    def _page(self, request: List) -> tuple[Sequence[JobRow], Place | None]:
        """The rows of a page, and where the next one begins; None: this was the last."""
        rows: list[JobRow] = []
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
        return rows, place


def _section(
    page: GetPage, place: Place, selector: Selector, room: int
) -> tuple[Sequence[JobRow], Key | None]:
    if room <= 0 or not place.may_hold(selector.states):
        return [], None
    chosen = replace(filter_of(selector), ranges=tuple(selector.ids))
    return page(place.section, chosen, place.behind, room)


def _are_large(rows: Sequence[JobRow]) -> bool:
    return sum(len(word) for row in rows for word in row.spec.argv) > _LARGE
