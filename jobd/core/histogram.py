"""How often something took how long, in a few numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """One thread at a time may add to it; whoever reads meanwhile may miss the latest."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`: upper ends of the buckets, ascending; the last bucket has none."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, int]]:
        """Each upper end as Prometheus writes it, and how many were no more than that."""
        ends = [*map(str, map(float, self._bounds)), "+Inf"]
        total, found = 0, list[tuple[str, int]]()
        for end, count in zip(ends, self._counts.copy(), strict=True):
            total += count
            found.append((end, total))
        return found
