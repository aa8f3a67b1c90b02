"""Which jobs a selector means, read from the store in pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from jobd.contract.models import Selector, State
from jobd.store.reader import Reader

_PAGE: Final = 5000
"""Ids read at a time."""


class Selection:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def jobs(
        self, ranges: Iterable[tuple[int, int]], states: Sequence[State] = ()
    ) -> Iterator[tuple[int, State]]:
        """Ids and states of all that is meant, in order of id; no ranges and no states mean all."""
        merged, behind = merge_ranges(ranges), 0
        while page := self._reader.select(merged, states, behind, _PAGE):
            yield from page
            behind = page[-1][0]

    def resolve(self, selector: Selector) -> tuple[list[int], list[int]]:
        """The ids that are meant, and the single ids that do not exist."""
        ids = [job for job, _ in self.jobs(selector.ids, selector.states)]
        return ids, self.missing(selector)

    def missing(self, selector: Selector) -> list[int]:
        """Single ids that do not exist; gaps inside a range are silent."""
        singles = list(dict.fromkeys(first for first, last in selector.ids if first == last))
        if not singles:
            return []
        found = {job for job, _ in self.jobs((job, job) for job in singles)}
        return [job for job in singles if job not in found]


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, without overlap; so that 10,000 single ids in a row are one range."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        elif first <= last:
            merged.append((first, last))
    return merged
