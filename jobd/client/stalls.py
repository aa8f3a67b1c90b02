"""Whether a daemon's answers lead on: whoever asks again and again comes to an end.

One that waits for news may do so for ever. But a page that stands where the one before stood, or
"nothing yet" at once and again at once, is nothing that jobd would answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from jobd.contract.errors import JobdError
from jobd.contract.models import MAX_PAGE_IDS, Acted, EventPage, HistoryPage, Page, Piece

_MOST_WAITS: Final = 100
"""Answers in a row that came too early and told nothing. A daemon that ends gives one of them."""
_HELD_S: Final = 20.0
"""Seconds for which daemons of earlier versions hold a request back at most."""
_MOST_PAGES: Final = 100_000
"""Pages in a row without a job that was not given before. One that looks for few jobs among
millions, or for what has moved, gives some."""
MOST_ATTEMPTS: Final = 100_000
"""Attempts of one job in quick succession; it has far fewer retries."""


def stalled(how: str) -> JobdError:
    """`how`: a sentence about the daemon."""
    return JobdError(
        f"what answers is no jobd, or a broken one: {how}. "
        "If it is yours, see its log (jobd log) and replace it: jobd restart"
    )


class Pages:
    """Of one list."""

    def __init__(self) -> None:
        self._cursors: set[str] = set()
        self._without = 0

    def check(self, page: Page, *, fresh: bool) -> None:
        """`fresh`: it has jobs that were not given before. Raises: JobdError."""
        self._without = 0 if fresh else self._without + 1
        if page.next in self._cursors or self._without > _MOST_PAGES:
            raise stalled("its list of jobs goes round and round")
        if page.next is not None:
            self._cursors.add(page.next)


class Waits:
    """Of one who asks for news, and lets the daemon wait for them."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, most: int = _MOST_WAITS
    ) -> None:
        """`most`: answers in a row that may come too early."""
        self._clock = clock
        self._most = most
        self._last = clock()
        self._early = 0

    def check(self, wait: float, *, news: bool) -> None:
        """An answer has come to a request that was to be held back for `wait` seconds.

        Raises: JobdError.
        """
        now = self._clock()
        is_early = not news and now - self._last < min(wait, _HELD_S) / 2
        self._last = now
        self._early = self._early + 1 if is_early else 0
        if self._early > self._most:
            raise stalled("it is to wait for news, and answers at once that there are none")


class Attempts:
    """Of the history of finished attempts, which goes on behind the last one of each page."""

    def __init__(self) -> None:
        self._behind = (0, 0)
        self._without = 0

    def check(self, page: HistoryPage) -> None:
        """Raises: JobdError."""
        self._without = 0 if page.attempts else self._without + 1
        if page.next is None:
            return
        if page.next <= self._behind or self._without > _MOST_PAGES:
            raise stalled("its history of attempts goes round and round")
        self._behind = page.next


def check_ids(page: Page) -> None:
    """Of the ids of a page: a few bytes can name more jobs than anybody has. Raises: JobdError."""
    if sum(abs(last - first) + 1 for first, last in page.ids) > MAX_PAGE_IDS:
        raise stalled(f"it lists more than {MAX_PAGE_IDS:,} jobs at a time")


def check_events(after: int, page: EventPage) -> None:
    """Of events behind `after`. Raises: JobdError."""
    if page.next < after or (page.events and page.next == after):
        raise stalled(f"its history behind event {after} goes on behind event {page.next}")


def check_piece(offset: int, piece: Piece) -> None:
    """Of output from `offset` on. Raises: JobdError."""
    if piece.data and piece.behind <= (piece.offset if piece.anew else offset):
        raise stalled(f"its output from byte {offset} on goes on at byte {piece.behind}")


def check_acted(before: Acted | None, acted: Acted) -> None:
    """Of a change of many jobs that goes on when it is asked for again. Raises: JobdError."""
    if before is None:
        return
    grown = [len(acted.done), len(acted.notices), len(acted.errors)]
    known = [len(before.done), len(before.notices), len(before.errors)]
    last = acted.notices[-1:], acted.errors[-1:]
    # Of many more notes the last one counts those that are not told.
    is_more = grown != known or last != (before.notices[-1:], before.errors[-1:])
    if not is_more or any(now < then for now, then in zip(grown, known, strict=True)):
        raise stalled("it has changed some of the jobs, and does not go on with the others")
