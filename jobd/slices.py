"""A change of many jobs, in slices: others get their turn in between."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from jobd.contract.errors import BadRequest
from jobd.contract.models import Acted, Note, Selector
from jobd.repeats import Repeats
from jobd.selection import Selection
from jobd.store.store import Look, Store
from jobd.store.writer import Writer

SLICE: Final = 500
"""Jobs in one transaction of a mass change."""


class Tally:
    """What a mass change did, job by job."""

    def __init__(self, chosen: AbstractSet[int] = frozenset()) -> None:
        self.chosen = chosen
        """All that the slice is about."""
        self.done: list[int] = []
        self.notices: list[Note] = []
        self.errors: list[Note] = []
        self.attempts: dict[int, int] = {}

    def notice(self, job: int, text: str) -> None:
        self.notices.append(Note(id=job, text=text))

    def error(self, job: int, text: str) -> None:
        self.errors.append(Note(id=job, text=text))

    def add(self, other: Acted) -> None:
        self.done += other.done
        self.notices += other.notices
        self.errors += other.errors
        self.attempts |= other.attempts

    def acted(self) -> Acted:
        return Acted(
            done=self.done, notices=self.notices, errors=self.errors, attempts=self.attempts
        )


Each = Callable[[Look, Tally], object]


class Slices:
    def __init__(
        self, store: Store, writer: Writer, selection: Selection, repeats: Repeats
    ) -> None:
        self._store = store
        self._writer = writer
        self._selection = selection
        self._repeats = repeats

    def act(self, selector: Selector, request_id: bytes, each: Each) -> Acted:
        """A change of many jobs in slices; each slice's answer is remembered on its own."""
        if not selector.named:
            raise BadRequest("name the jobs, or --all, or a filter such as --state failed")
        tally = Tally()
        with self._repeats.one_at_a_time(request_id):
            number, seen = self._resume(request_id, tally)
            ids, missing = self._selection.resolve(selector)
            for job in missing:
                # Not what the first sending of this request has itself removed.
                if job not in seen:
                    tally.error(job, "does not exist")
            left = (job for job in ids if job not in seen)
            for piece in iter(lambda: list(itertools.islice(left, SLICE)), []):
                key = _slice_key(request_id, number)
                number += 1
                tally.add(
                    self._repeats.once(key, Acted, lambda piece=piece: self._slice(piece, each))  # type: ignore[misc]
                )
        return tally.acted()

    def _resume(self, request_id: bytes, tally: Tally) -> tuple[int, set[int]]:
        """What an earlier sending of this request has done: slices and their jobs."""
        seen: set[int] = set()
        for number in itertools.count() if request_id else ():
            key = _slice_key(request_id, number)
            known = self._writer.call(lambda key=key: self._repeats.answered(key, Acted))  # type: ignore[misc]
            if known is None:
                return number, seen
            tally.add(known)
            seen.update(known.done, (n.id for n in known.notices), (n.id for n in known.errors))
        return 0, seen

    def _slice(self, piece: list[int], each: Each) -> Acted:
        tally = Tally(frozenset(piece))
        for job in piece:
            look = self._store.look(job)
            if look is None:
                tally.error(job, "does not exist")
            else:
                each(look, tally)
        return tally.acted()


def _slice_key(request_id: bytes, number: int) -> bytes:
    return request_id + number.to_bytes(4, "big") if request_id else b""
