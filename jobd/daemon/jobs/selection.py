"""Which jobs a selector means, read from the store in pages."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from jobd.contract.models import MAX_ID, Selector
from jobd.contract.ranges import merge_ranges, ranges_of
from jobd.contract.states import State
from jobd.store.reader import Reader
from jobd.store.records import Filter

EVERYTHING: Final = Filter()
_PAGE: Final = 5000
"""Ids read at a time."""


def filter_of(selector: Selector) -> Filter:
    """The filters of a selector; its ids are not among them."""
    return Filter(
        states=tuple(dict.fromkeys(selector.states)),
        groups=tuple(selector.groups),
        tags=tuple(selector.tags),
        name=selector.name,
        command=selector.command,
        users=tuple(selector.users),
        since=_microseconds(selector.since),
        until=_microseconds(selector.until),
        ended_since=_microseconds(selector.ended_since),
        ended_before=_microseconds(selector.ended_before),
        held=selector.held,
    )


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e6)


class Selection:
    """Any thread may ask; each page is that of its own moment, and a million jobs are no set."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def jobs(
        self, ranges: Iterable[tuple[int, int]], chosen: Filter = EVERYTHING
    ) -> Iterator[tuple[int, State]]:
        """Ids and states of all that is meant, in order of id; no ranges and no filter mean all."""
        for group in _groups(merge_ranges(ranges)):
            first, last = group[0][0], group[-1][1]
            while page := self._reader.select(replace(chosen, ranges=_from(group, first)), _PAGE):
                yield from page
                first = page[-1][0] + 1
                if len(page) < _PAGE or first > last:
                    break

    def ranges(self, ranges: Iterable[tuple[int, int]], chosen: Filter) -> list[tuple[int, int]]:
        """The same ids, as ranges: what stands in a row is counted, and not read one by one."""
        found: list[tuple[int, int]] = []
        for group in _groups(merge_ranges(ranges)):
            if len(group) == 1:
                found += self._reader.ranges(chosen, *group[0])
            else:
                found += ranges_of(job for job, _ in self.jobs(group, chosen))
        return merge_ranges(found)

    def resolve(self, selector: Selector) -> tuple[Sequence[int], list[int]]:
        """The ids that are meant, and the single ids that do not exist."""
        # As an array: a list of a million is looked through again and again for cycles, and
        # meanwhile no other thread runs.
        ids = array("q", (job for job, _ in self.jobs(selector.ids, filter_of(selector))))
        return ids, self.missing(selector)

    def parents_first(self, ids: Sequence[int], chosen: Callable[[int], bool]) -> Sequence[int]:
        """The same ids, in this (ascending) order but each behind those that it waits for.

        A parent has the lower id, as a rule; with another one only `edit` and graphs come up. So
        no more is read than what lies behind the exceptions.
        """
        upwards = self._reader.upwards()
        early: set[int] = set()
        turns = array("q")
        for job in ids if upwards else ():
            if job in upwards and job not in early:
                # Of lower ones all have had their turn.
                wanted = partial(_is_left, job, chosen, early)
                above = self._reader.above(job, wanted)
                early.update(above)
                turns.extend(above)
            if job not in early:
                turns.append(job)
        return turns if upwards else ids

    def missing(self, selector: Selector) -> list[int]:
        """Single ids that do not exist; gaps inside a range are silent."""
        singles = list(dict.fromkeys(first for first, last in selector.ids if first == last))
        if not singles:
            return []
        found = {job for job, _ in self.jobs((job, job) for job in singles)}
        return [job for job in singles if job not in found]


def _is_left(job: int, chosen: Callable[[int], bool], early: set[int], one: int) -> bool:
    return one > job and one not in early and chosen(one)


def _groups(merged: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Small ranges are looked up together; a wide one alone, and it is read in pages."""
    group: list[tuple[int, int]] = []
    width = 0
    for first, last in merged or [(1, MAX_ID)]:
        width += last - first + 1
        if group and width > _PAGE:
            yield group
            group, width = [], last - first + 1
        group.append((first, last))
    yield group


def _from(group: list[tuple[int, int]], first: int) -> tuple[tuple[int, int], ...]:
    """What is left of the ranges from an id on: pages begin where the last one ended."""
    return tuple((max(low, first), high) for low, high in group if high >= first)
