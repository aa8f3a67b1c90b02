"""A set of ids that costs what its gaps cost: a million jobs in a row are one interval."""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict


class Intervals:
    """A set of ids that costs as much as it has gaps. Not safe for several threads at once."""

    __slots__ = ("_count", "_last")

    def __init__(self) -> None:
        self._last: SortedDict[int, int] = SortedDict()
        """First id → last id, disjoint and never adjacent."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for first, last in self._last.items():
            yield from range(first, last + 1)

    def __contains__(self, number: int) -> bool:
        return self._find(number) is not None

    @property
    def first(self) -> int:
        """The lowest. Raises: IndexError (it is empty)."""
        return self._last.peekitem(0)[0]

    def add(self, first: int, last: int) -> None:
        """All from `first` to `last`. Raises: ValueError (one of them is in it already)."""
        behind = self._last.bisect_right(last)
        before = self._last.peekitem(behind - 1) if behind else None
        if before is not None and before[1] >= first:
            raise ValueError(f"{max(first, before[0])} is in it already")
        self._count += last - first + 1
        if behind < len(self._last) and self._last.peekitem(behind)[0] == last + 1:
            last = self._last.popitem(behind)[1]
        if before is not None and before[1] == first - 1:
            first = before[0]
        self._last[first] = last

    def discard(self, first: int, last: int) -> bool:
        """Take out all from `first` to `last`; False, and nothing happens, if one is not in it."""
        found = self._find(first)
        if found is None or found[1] < last:
            return False
        self._count -= last - first + 1
        del self._last[found[0]]
        if found[0] < first:
            self._last[found[0]] = first - 1
        if last < found[1]:
            self._last[last + 1] = found[1]
        return True

    def _find(self, number: int) -> tuple[int, int] | None:
        """The interval that it lies in."""
        behind = self._last.bisect_right(number)
        if not behind:
            return None
        first, last = self._last.peekitem(behind - 1)
        return (first, last) if number <= last else None
