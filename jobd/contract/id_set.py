"""Very many ids, of what has had its turn: a bit each, where they stand close.

A set of a million is moved as a whole when it grows, and looked through as a whole by the collector
of cycles; no other thread runs meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jobd.contract.ranges import ids_in, runs_of

_WIDTH: Final = 1024
"""Ids of one chunk."""


class IdSet:
    """A set of ids. One thread uses it."""

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}

    def __contains__(self, job: int) -> bool:
        chunk, bit = divmod(job, _WIDTH)
        return bool(self._chunks.get(chunk, 0) >> bit & 1)

    def add(self, job: int) -> None:
        chunk, bit = divmod(job, _WIDTH)
        self._chunks[chunk] = self._chunks.get(chunk, 0) | 1 << bit

    def take(self, run: tuple[int, int]) -> list[tuple[int, int]]:
        """What of a run of ids was not seen yet, in its order; from now on it is."""
        masks = [*_masks(min(run), max(run))]
        is_known = any(self._chunks.get(chunk, 0) & mask for chunk, mask in masks)
        fresh = runs_of(job for job in ids_in(run) if job not in self) if is_known else [run]
        for chunk, mask in masks:
            self._chunks[chunk] = self._chunks.get(chunk, 0) | mask
        return fresh


def _masks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The bits of a range, chunk by chunk."""
    while first <= last:
        chunk, begin = divmod(first, _WIDTH)
        count = min(last - first + 1, _WIDTH - begin)
        yield chunk, ((1 << count) - 1) << begin
        first += count
