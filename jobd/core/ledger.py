"""What must be known to choose the next job, and no more: who waits, who runs, in which slot.

It mirrors the disk. Only the writer's thread changes it, inside a transaction, and every change
leaves its undoing with the `Undo` log.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from jobd.contract.models import State
from jobd.core.ready import Entry, ReadyQueue
from jobd.core.undo import Undo


class Ledger:
    def __init__(self, undo: Undo, *, workers: int, next_id: int) -> None:
        self._undo = undo
        self.queue = ReadyQueue()
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self.workers = workers
        """How many jobs may run at a time."""
        self.next_id = next_id
        self.draining = False
        self._slots: dict[int, int] = {}
        """Running job → its slot (1…N)."""
        self._free: list[int] = []
        self._highest = 0
        """Slots up to here have been given out before; the free ones among them are in `_free`."""

    @property
    def busy(self) -> int:
        return len(self._slots)

    def running(self, job: int) -> bool:
        return job in self._slots

    # --- waiting --------------------------------------------------------------------------

    def reserve_ids(self, count: int) -> int:
        """The first of `count` consecutive new ids. Never given out again, even if undone."""
        first = self.next_id
        self.next_id += count
        return first

    def admit(self, entry: Entry) -> None:
        self.queue.add(entry)
        self._undo.add(lambda: self.queue.remove(entry.id))

    def admit_many(self, entries: list[Entry]) -> None:
        self.queue.add_many(entries)
        self._undo.add(lambda: [self.queue.remove(entry.id) for entry in entries])

    def withdraw(self, job: int) -> None:
        entry = self.queue.remove(job)
        if entry is not None:
            self._undo.add(lambda: self.queue.add(entry))

    # --- running --------------------------------------------------------------------------

    def take(self) -> tuple[Entry, int] | None:
        """The next job and the lowest free slot for it; None: nothing may start now."""
        if self.draining or self.busy >= self.workers:
            return None
        entry = self.queue.take(self.workers - self.busy)
        if entry is None:
            return None
        self._undo.add(lambda: self.queue.add(entry))
        return entry, self._occupy(entry.id)

    def occupy(self, job: int, slot: int) -> None:
        """A job that an earlier daemon started keeps its slot."""
        self._slots[job] = slot
        known = set(self._slots.values())
        self._highest = max(self._highest, slot)
        self._free = [free for free in range(1, self._highest + 1) if free not in known]
        heapify(self._free)

    def _occupy(self, job: int) -> int:
        if self._free:
            slot = heappop(self._free)
        else:
            self._highest += 1
            slot = self._highest
        self._slots[job] = slot
        self._undo.add(lambda: self._vacate(job))
        return slot

    def release(self, job: int) -> None:
        slot = self._vacate(job)
        self._undo.add(lambda: self.occupy(job, slot))

    def _vacate(self, job: int) -> int:
        slot = self._slots.pop(job)
        heappush(self._free, slot)
        return slot

    # --- numbers --------------------------------------------------------------------------

    def count(self, old: State | None, new: State | None, jobs: int = 1) -> None:
        """So many jobs went from one state to another (None: they did not exist, or no more)."""
        self._shift(old, new, jobs)
        self._undo.add(lambda: self._shift(new, old, jobs))

    def _shift(self, old: State | None, new: State | None, jobs: int) -> None:
        if old is not None:
            self.counts[old] -= jobs
        if new is not None:
            self.counts[new] += jobs

    def set_workers(self, workers: int) -> None:
        before = self.workers
        self.workers = workers
        self._undo.add(lambda: setattr(self, "workers", before))

    def load(self, pending: Iterable[tuple[int, int]], counts: dict[State, int]) -> None:
        """What the disk says at the start: (id, priority) of all that waits, and the counts."""
        self.queue.add_many(Entry(id=job, priority=priority) for job, priority in pending)
        self.counts.update(counts)
