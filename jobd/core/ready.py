"""The ready queue: which pending job starts next. Higher priority first, then the lower id.

Theory of operation
-------------------
`_items` knows every waiting job by id. Each group has a lane: a binary heap of its jobs. The next
job is the best head among the lanes that may start something. That is where a group's limit and
its pause belong: as fields of its lane, asked in `_best`, so that no group ever idles a worker
that another could use. A job that is not ready (held, delayed, waiting for parents) belongs in
`_items` without standing in a lane; becoming ready is one push.

Removing a job only forgets its item. What is left of it in the heap is recognised, because it is
no longer the very tuple that `_items` has, and dropped as soon as it comes to the head, or when
such leftovers outnumber the living. So the head of a lane always lives, all changes are O(log n),
amortised, and memory is bounded.

Not for several threads at once: whoever owns the queue has the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush, merge
from itertools import islice
from typing import Final

from msgspec import Struct

from jobd.contract.models import DEFAULT_GROUP

_SLACK: Final = 32
"""Leftovers in a lane that are not worth a sweep."""

_Item = tuple[int, int, str, int]
"""Negated priority, id, group, slots: the natural order of tuples is the order of starting."""


class Entry(Struct, frozen=True, gc=False):
    """What has to be known of a job to choose the next one."""

    id: int
    priority: int = 0
    group: str = DEFAULT_GROUP
    slots: int = 1
    """Workers that it occupies."""


class _Lane:
    """The waiting jobs of one group, and leftovers of jobs that no longer wait."""

    __slots__ = ("heap", "living")

    def __init__(self) -> None:
        self.heap: list[_Item] = []
        self.living = 0


class ReadyQueue:
    __slots__ = ("_items", "_lanes")

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._lanes: dict[str, _Lane] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, job: int) -> bool:
        return job in self._items

    def add(self, entry: Entry) -> None:
        """Raises: ValueError (it waits already; see `change`)."""
        if entry.id in self._items:
            raise ValueError(f"job {entry.id} is in the queue already")
        lane = self._lanes.get(entry.group)
        if lane is None:
            lane = self._lanes[entry.group] = _Lane()
        item = (-entry.priority, entry.id, entry.group, entry.slots)
        self._items[entry.id] = item
        heappush(lane.heap, item)
        lane.living += 1

    def add_many(self, entries: Iterable[Entry]) -> None:
        """Any order will do; pushing in the order of ids is the cheapest.

        Raises: ValueError (one of them waits already; those before it have been added).
        """
        add = self.add
        for entry in entries:
            add(entry)

    def remove(self, job: int) -> Entry | None:
        """Take a job out wherever it stands; None if it does not wait."""
        item = self._items.pop(job, None)
        if item is None:
            return None
        self._left(self._lanes[item[2]])
        return _entry(item)

    def change(self, entry: Entry) -> bool:
        """Give a waiting job another priority, group or weight; False if it does not wait."""
        if self.remove(entry.id) is None:
            return False
        self.add(entry)
        return True

    def peek(self) -> Entry | None:
        """The job that starts next."""
        best = self._best()
        return None if best is None else _entry(best)

    def take(self, free_slots: int) -> Entry | None:
        """Take out the next job, if it fits into so many free workers.

        One that does not fit keeps its place: smaller ones behind it wait too, or it would starve.
        """
        if free_slots < 1:
            return None
        best = self._best()
        if best is None or best[3] > free_slots:
            return None
        return self.remove(best[1])

    def order(self, limit: int | None = None) -> list[Entry]:
        """The first `limit` jobs in the order of starting (None: all); O(limit · log limit)."""
        return [_entry(item) for item in islice(self._walk(), limit)]

    def position(self, job: int, cap: int = 1000) -> int | None:
        """How many start before it, counted up to `cap`; None if it does not wait."""
        mine = self._items.get(job)
        if mine is None:
            return None
        ahead = islice(self._walk(), cap)
        return next((count for count, item in enumerate(ahead) if item is mine), cap)

    def _best(self) -> _Item | None:
        best = None
        for lane in self._lanes.values():
            if lane.heap and (best is None or lane.heap[0] < best):
                best = lane.heap[0]
        return best

    def _left(self, lane: _Lane) -> None:
        """A job has left the lane: drop leftovers at its head, or all if they are many."""
        items = self._items
        lane.living -= 1
        if len(lane.heap) > 2 * lane.living + _SLACK:
            lane.heap = [item for item in lane.heap if items.get(item[1]) is item]
            heapify(lane.heap)
        while lane.heap and items.get(lane.heap[0][1]) is not lane.heap[0]:
            heappop(lane.heap)

    def _walk(self) -> Iterator[_Item]:
        lanes = (_in_order(lane.heap) for lane in self._lanes.values())
        return (item for item in merge(*lanes) if self._items.get(item[1]) is item)


def _in_order(heap: list[_Item]) -> Iterator[_Item]:
    """A heap in sorted order without taking it apart: only parents already seen show children."""
    seen = [(heap[0], 0)] if heap else []
    while seen:
        item, index = heappop(seen)
        yield item
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heappush(seen, (heap[child], child))


def _entry(item: _Item) -> Entry:
    return Entry(item[1], -item[0], item[2], item[3])
