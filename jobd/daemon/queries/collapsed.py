"""`list` of arrays and batches as one: of each the element that comes first stands for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from jobd.contract.models import MAX_ID, Array, List
from jobd.contract.states import FINISHED, State
from jobd.daemon.jobs.selection import filter_of
from jobd.daemon.queries.cursor import Position
from jobd.store.arrays import (
    ArrayRow,
    Ends,
    arrays_of,
    counts_of,
    ends_of,
    newest_array,
    newest_ids,
)
from jobd.store.pages import SECTIONS
from jobd.store.reader import GetIds, Reader
from jobd.store.records import Filter
from jobd.system.clock import now_us

_LOOK: Final = 500
"""Jobs that are looked at in one go."""
_LOOKS: Final = 20
"""So often for a section: what finished behind very many elements of arrays is not looked for."""


class Collapsed:
    """Clients' threads call."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def ids(self, request: List) -> tuple[list[int], dict[int, Array]]:
        """The jobs of one page, in order, and the arrays for which some of them stand."""
        chosen = replace(filter_of(request.selector), ranges=tuple(request.selector.ids))
        found: list[int] = []
        seen: dict[ArrayRow, int] = {}
        with self._reader.id_pages() as ids_of:
            for section in SECTIONS:
                position = Position(section, given=len(found))
                room = position.room(request)
                if position.may_hold(request.selector.states):
                    room = _LOOK if room is None else room
                    found += self._section(ids_of, section, chosen, room, seen)
        views = ((job, self.view(array)) for array, job in seen.items())
        return found, {job: view for job, view in views if view is not None}

    def newest(self, count: int) -> tuple[list[int], dict[int, Array]]:
        """The jobs submitted last, and the array submitted last, uncounted."""
        array = newest_array(self._reader)
        arrays = {} if array is None else {array.first: Array(first=array.first, last=array.last)}
        return newest_ids(self._reader, count), arrays

    def _section(
        self,
        ids_of: GetIds,
        section: str,
        chosen: Filter,
        room: int,
        seen: dict[ArrayRow, int],
    ) -> list[int]:
        found: list[int] = []
        behind = None
        for _ in range(_LOOKS):
            if len(found) >= room:
                break
            ids, behind = ids_of(section, _without(chosen, seen), behind, _LOOK)
            arrays = arrays_of(self._reader, ids)
            found += _first_of_each(ids, arrays, seen)
            if behind is None:
                break
            rank, job = behind
            if section == State.PENDING and abs(job) in arrays:
                # Elements that are alike stand in a row: all of this one's are passed over.
                behind = rank, max(job, arrays[abs(job)].last)
        return found[:room]

    def view(self, array: ArrayRow) -> Array | None:
        """None: no element is left."""
        with self._reader.moment() as reader:
            ends = ends_of(reader, array)
            counts = counts_of(reader, array)
        if ends is None:
            return None
        return array_view(array, ends, counts)


def array_view(array: ArrayRow, ends: Ends, counts: dict[State, int]) -> Array:
    """It goes on as until now, as far as anybody knows."""
    over = sum(counts.get(state, 0) for state in FINISHED)
    left = sum(counts.values()) - over
    eta = None
    if over and left and ends.started_at is not None:
        eta = max(0, now_us() - ends.started_at) / 1e6 / over * left
    return Array(
        first=array.first,
        last=array.last,
        first_index=ends.first_index,
        last_index=ends.last_index,
        counts={state: count for state, count in counts.items() if count},
        eta_s=eta,
    )


def _without(chosen: Filter, seen: Iterable[ArrayRow]) -> Filter:
    """Without the elements of these arrays, so that they are passed over in an index."""
    if chosen.ranges:
        return chosen  # few jobs are meant, and looked up
    first, ranges = 1, list[tuple[int, int]]()
    for array in sorted(seen):
        if first < array.first:
            ranges.append((first, array.first - 1))
        first = array.last + 1
    return replace(chosen, ranges=(*ranges, (first, MAX_ID))) if first > 1 else chosen


def _first_of_each(
    ids: list[int], arrays: dict[int, ArrayRow], seen: dict[ArrayRow, int]
) -> Iterator[int]:
    """Jobs, and of each array that was not seen before one element; now it is."""
    for job in ids:
        array = arrays.get(job)
        if array is None:
            yield job
        elif array not in seen:
            seen[array] = job
            yield job
