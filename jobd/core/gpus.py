"""GPUs: which there are, in order of preference, and how many jobs each one has."""

from __future__ import annotations

from collections.abc import Sequence


class Devices:
    """`indexes`: as CUDA numbers them, the preferred one first. `each`: jobs on one at a time."""

    def __init__(self, indexes: Sequence[int] = (), each: int = 1) -> None:
        self.indexes = tuple(indexes)
        self._each = each
        self._jobs = dict.fromkeys(self.indexes, 0)

    @property
    def managed(self) -> bool:
        """Whether there are any: only then are they hidden from jobs that asked for none."""
        return bool(self.indexes)

    @property
    def count(self) -> int:
        """How many one job may have at most: no device counts twice for the same job."""
        return len(self.indexes)

    @property
    def free(self) -> int:
        """Devices that would take another job."""
        return sum(self._jobs[index] < self._each for index in self.indexes)

    @property
    def places(self) -> int:
        """Jobs that can run at a time, if each has one device."""
        return len(self.indexes) * self._each

    @property
    def used(self) -> int:
        """Devices that have a job."""
        return sum(self._jobs[index] > 0 for index in self.indexes)

    @property
    def taken(self) -> int:
        """How many of the places jobs have."""
        return sum(self._jobs[index] for index in self.indexes)

    def choose(self, wanted: int) -> tuple[int, ...]:
        """So many of the free ones: those with the fewest jobs, of these the preferred ones."""
        free = [index for index in self.indexes if self._jobs[index] < self._each]
        return tuple(sorted(sorted(free, key=self._jobs.__getitem__)[:wanted]))

    def give(self, indexes: Sequence[int]) -> None:
        for index in indexes:
            self._jobs[index] = self._jobs.get(index, 0) + 1

    def take_back(self, indexes: Sequence[int]) -> None:
        for index in indexes:
            self._jobs[index] -= 1
