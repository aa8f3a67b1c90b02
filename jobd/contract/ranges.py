"""Ranges of ids, both ends included."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Ranges = Sequence[tuple[int, int]]


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, without overlap; so that 10,000 single ids in a row are one range."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        elif first <= last:
            merged.append((first, last))
    return merged


def ranges_of(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Of ids that come in ascending order."""
    found: list[tuple[int, int]] = []
    for job in ids:
        if found and job == found[-1][1] + 1:
            found[-1] = (found[-1][0], job)
        else:
            found.append((job, job))
    return found


def runs_of(ids: Iterable[int]) -> list[tuple[int, int]]:
    """The same ids in the same order: each run goes up or down by one, and 9, 8, 7 is (9, 7)."""
    found: list[tuple[int, int]] = []
    first = last = step = 0
    for job in ids:
        if first and job - last in (1, -1) and step in (0, job - last):
            step = job - last
        else:
            if first:
                found.append((first, last))
            first, step = job, 0
        last = job
    return [*found, (first, last)] if first else found


def ids_in(run: tuple[int, int]) -> range:
    """Of a run, upwards or downwards."""
    first, last = run
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def width(ranges: Ranges) -> int:
    """How many ids there are in them, where they do not overlap."""
    return sum(last - first + 1 for first, last in ranges)


class Within:
    """Whether an id is in one of them; no ranges at all mean every id."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = merge_ranges(ranges)
        self._firsts = [first for first, _ in self._ranges]

    def __call__(self, job: int) -> bool:
        if not self._ranges:
            return True
        at = bisect_right(self._firsts, job)
        return at > 0 and job <= self._ranges[at - 1][1]
