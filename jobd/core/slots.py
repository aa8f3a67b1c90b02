"""The places that running jobs take: which number each has, and how many are taken in all."""

from __future__ import annotations

from contextlib import suppress
from heapq import heapify, heappop, heappush


class Slots:
    """Numbers from 1 on; the lowest free one is given first. For one thread."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._highest = 0
        """Up to here they have been given before; the free ones among them are in `_free`."""

    def take(self) -> int:
        if self._free:
            return heappop(self._free)
        self._highest += 1
        return self._highest

    def give_back(self, slot: int) -> None:
        heappush(self._free, slot)

    def keep(self, slot: int) -> None:
        """A job has it already, given by an earlier daemon or before an undoing."""
        if slot > self._highest:
            for free in range(self._highest + 1, slot):
                heappush(self._free, free)
            self._highest = slot
            return
        with suppress(ValueError):
            self._free.remove(slot)
            heapify(self._free)


class Occupied:
    """How many workers are taken, of all and in each group. For one thread."""

    def __init__(self) -> None:
        self.total = 0
        self._by_group: dict[str, int] = {}

    def within(self, group: str) -> int:
        return self._by_group.get(group, 0)

    def add(self, group: str, workers: int) -> None:
        """`workers`: less than 0 where a job gives them back."""
        self.total += workers
        self._by_group[group] = self.within(group) + workers
