"""The ready queue: which pending job starts next. Higher priority first, then the lower id.

Theory of operation
-------------------
Only jobs that wait for nothing but their turn are in it: a job that is held, delayed or waits for
others comes in when that is over. Jobs that do not differ in priority, group and weight are a
*kind*, and a kind is a set of intervals of ids; so an array of a million jobs is one entry.

Each group has two *lanes*, one for jobs that want GPUs and one for the others. The head of a lane
is its best job that could ever fit. The best of all heads starts, but for those that wait for
something that keeps others waiting, too:

- A head that does not fit into what its group has left keeps the rest of its group waiting, or
  smaller jobs would starve it. Other groups go on.
- A head that waits for GPUs keeps others waiting that want GPUs. The rest goes on.
- A head that does not fit into the free workers keeps all that come behind it waiting.

All changes are O(log n) and a choice costs what the groups cost, however many jobs wait.
Not for several threads at once: whoever owns the queue has the lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice, takewhile
from typing import NamedTuple, Protocol

from msgspec import Struct
from sortedcontainers import SortedDict

from jobd.contract.models import DEFAULT_GROUP
from jobd.core.fit import lacks
from jobd.core.intervals import Intervals


class Entry(Struct, frozen=True, gc=False):
    """What has to be known of a job to choose the next one."""

    id: int
    priority: int = 0
    group: str = DEFAULT_GROUP
    slots: int = 1
    """Workers that it occupies."""
    gpus: int = 0


class Capacity(Protocol):
    """What is free just now, and what there is in all."""

    @property
    def workers(self) -> int: ...

    @property
    def free_workers(self) -> int: ...

    @property
    def gpus(self) -> int: ...

    @property
    def free_gpus(self) -> int: ...

    def limit(self, group: str) -> int:
        """Workers that the group may have in all."""

    def free_in(self, group: str) -> int:
        """Workers that the group may still take; none where it is paused."""


class _Weight(NamedTuple):
    slots: int
    gpus: int


class _Lane:
    """The waiting jobs of one group that want GPUs, or of those that do not."""

    __slots__ = ("group", "kinds", "length")

    def __init__(self, group: str) -> None:
        self.group = group
        self.kinds: SortedDict[int, dict[_Weight, Intervals]] = SortedDict()
        """By negated priority: the natural order is that of starting."""
        self.length = 0

    def add(self, first: int, last: int, priority: int, weight: _Weight) -> None:
        kinds = self.kinds.setdefault(-priority, {})
        kinds.setdefault(weight, Intervals()).add(first, last)
        self.length += last - first + 1

    def discard(self, first: int, last: int, priority: int, weight: _Weight) -> bool:
        kinds = self.kinds.get(-priority, {})
        kind = kinds.get(weight)
        if kind is None or not kind.discard(first, last):
            return False
        self.length -= last - first + 1
        if not kind:
            del kinds[weight]
            if not kinds:
                del self.kinds[-priority]
        return True

    def head(self, capacity: Capacity) -> Entry | None:
        """Its best job that could ever fit."""
        workers, share, devices = capacity.workers, capacity.limit(self.group), capacity.gpus
        for rank, kinds in self.kinds.items():
            fitting = [
                weight
                for weight in kinds
                if not lacks(*weight, workers=workers, share=share, devices=devices)
            ]
            if fitting:
                weight = min(fitting, key=lambda w: kinds[w].first)
                return Entry(kinds[weight].first, -rank, self.group, *weight)
        return None

    def walk(self) -> Iterator[tuple[int, int, str, _Weight]]:
        """All of it in the order of starting."""
        for rank, kinds in self.kinds.items():
            yield from merge(*(_of_kind(rank, self.group, w, ids) for w, ids in kinds.items()))


def _of_kind(
    rank: int, group: str, weight: _Weight, ids: Intervals
) -> Iterator[tuple[int, int, str, _Weight]]:
    return ((rank, job, group, weight) for job in ids)


class ReadyQueue:
    """The jobs that only wait for their turn, best first. The writer's thread alone uses it; how
    many there are any thread may ask.
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, bool], _Lane] = {}

    def __len__(self) -> int:
        # Of a copy: lanes come and go while others count.
        return sum(lane.length for lane in list(self._lanes.values()))

    def __contains__(self, entry: Entry) -> bool:
        lane = self._lanes.get(_lane_of(entry))
        kinds = lane.kinds.get(-entry.priority, {}) if lane else {}
        return entry.id in kinds.get(_Weight(entry.slots, entry.gpus), ())

    def waiting_in(self, group: str) -> int:
        """How many jobs of a group wait for their turn."""
        lanes = list(self._lanes.values())
        return sum(lane.length for lane in lanes if lane.group == group)

    def add(self, entry: Entry, last: int | None = None) -> None:
        """A job, or all of the same kind from its id up to `last`.

        Raises: ValueError (one of them waits already).
        """
        key = _lane_of(entry)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(entry.group)
        end = entry.id if last is None else last
        lane.add(entry.id, end, entry.priority, _Weight(entry.slots, entry.gpus))

    def remove(self, entry: Entry, last: int | None = None) -> bool:
        """Take out a job wherever it stands, or all up to `last`; whether it, or all, waited."""
        lane = self._lanes.get(_lane_of(entry))
        end = entry.id if last is None else last
        weight = _Weight(entry.slots, entry.gpus)
        if lane is None or not lane.discard(entry.id, end, entry.priority, weight):
            return False
        if not lane.length:
            del self._lanes[_lane_of(entry)]
        return True

    def best(self, capacity: Capacity) -> Entry | None:
        """The job that may start now; None: none may."""
        if capacity.free_workers < 1:
            return None
        heads = [head for lane in self._lanes.values() if (head := lane.head(capacity)) is not None]
        waiting_groups: set[str] = set()
        gpus_awaited = False
        for head in sorted(heads, key=_rank):
            if head.group in waiting_groups:
                continue
            if head.slots > capacity.free_in(head.group):
                waiting_groups.add(head.group)
            elif head.gpus and (gpus_awaited or head.gpus > capacity.free_gpus):
                gpus_awaited = True
            else:
                return head if head.slots <= capacity.free_workers else None
        return None

    def take(self, capacity: Capacity) -> Entry | None:
        """Take out the job that may start now."""
        best = self.best(capacity)
        if best is not None:
            self.remove(best)
        return best

    def order(self, limit: int | None = None) -> list[Entry]:
        """The first `limit` jobs in the order of starting (None: all), if each were to fit."""
        return [Entry(job, -rank, group, *w) for rank, job, group, w in islice(self._walk(), limit)]

    def ahead_of(self, entry: Entry, cap: int) -> int:
        """How many start before it, counted up to `cap`."""
        mine = _rank(entry)
        ahead = takewhile(lambda item: item[:2] < mine, islice(self._walk(), cap))
        return sum(1 for _ in ahead)

    def _walk(self) -> Iterator[tuple[int, int, str, _Weight]]:
        return merge(*(lane.walk() for lane in self._lanes.values()))


def _lane_of(entry: Entry) -> tuple[str, bool]:
    return entry.group, entry.gpus > 0


def _rank(entry: Entry) -> tuple[int, int]:
    """The natural order is that of starting."""
    return -entry.priority, entry.id
