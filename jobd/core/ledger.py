"""What must be known to choose the next job, and no more: who waits, who runs, with what.

It mirrors the disk. Only the writer's thread changes it, inside a transaction, and every change
leaves its undoing with the `Undo` log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from jobd.contract.errors import NotFound
from jobd.contract.models import DEFAULT_GROUP, Lack
from jobd.contract.states import Reason, Resource, State
from jobd.core import fit
from jobd.core.gpus import Devices
from jobd.core.ready_queue import Entry, ReadyQueue
from jobd.core.slots import Occupied, Slots
from jobd.core.undo import Undo


class Share(Struct, frozen=True):
    """A group's part of the workers."""

    workers: int | None = None
    """How many it may have at a time; None: as many as there are."""
    paused: bool = False


class Holding(Struct, frozen=True):
    """What a running job has."""

    slot: int
    """The lowest number (1…N) that was free."""
    gpus: tuple[int, ...]
    entry: Entry


class Ledger:
    """Also the `Capacity` of the ready queue."""

    def __init__(
        self,
        undo: Undo,
        *,
        workers: int,
        next_id: int,
        devices: Devices | None = None,
        moves: int = 0,
    ) -> None:
        self._undo = undo
        self.queue = ReadyQueue()
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self.workers = workers
        """How many jobs of weight 1 may run at a time."""
        self.next_id = next_id
        self.moves = moves
        """Grows whenever a pending job gets another place; of no meaning in itself."""
        self.draining = False
        self.groups: dict[str, Share] = {DEFAULT_GROUP: Share()}
        self.devices = devices or Devices()
        self._running: dict[int, Holding] = {}
        self._occupied = Occupied()
        self._slots = Slots()

    # --- room -----------------------------------------------------------------------------

    @property
    def busy(self) -> int:
        """Workers that are occupied."""
        return self._occupied.total

    @property
    def free_workers(self) -> int:
        return 0 if self.draining else self.workers - self._occupied.total

    @property
    def gpus(self) -> int:
        return self.devices.count

    @property
    def free_gpus(self) -> int:
        return self.devices.free

    def share_of(self, group: str, *, option: str = "", step: str = "see: jobctl groups") -> Share:
        """`option`: by which a job was to be put into the group. `step`: what to do without it.

        Raises: NotFound (there is no such group).
        """
        share = self.groups.get(group)
        if share is None:
            said = f"there is no group {group!r}; {step}"
            raise NotFound(f"{option}: {said}" if option else said)
        return share

    def limit(self, group: str) -> int:
        workers = self.groups.get(group, Share()).workers
        return self.workers if workers is None else workers

    def free_in(self, group: str) -> int:
        if self.groups.get(group, Share()).paused:
            return 0
        if self.limit(group) >= self.workers:
            # It is never the group that is full, so nobody passes by what it has in front.
            return self.workers
        return self.limit(group) - self.busy_in(group)

    def busy_in(self, group: str) -> int:
        return self._occupied.within(group)

    def reason(self, entry: Entry) -> str:
        """Why a job that waits for its turn has not started."""
        if self.draining:
            return Reason.DRAINING
        if self.groups.get(entry.group, Share()).paused:
            return Reason.GROUP_PAUSED
        if entry.gpus > self.free_gpus or any(
            lack.what is Resource.WORKERS and fit.is_too_large(lack) for lack in self.lacks(entry)
        ):
            return Reason.RESOURCES
        if entry.slots > self.free_in(entry.group) and self.limit(entry.group) < self.workers:
            return Reason.GROUP_FULL
        return Reason.QUEUED

    def lacks(self, entry: Entry) -> list[Lack]:
        """Why such a job can never start as things are; nothing: it can."""
        share = self.groups.get(entry.group, Share()).workers
        return fit.lacks(
            entry.slots, entry.gpus, workers=self.workers, share=share, devices=self.gpus
        )

    # --- waiting --------------------------------------------------------------------------

    def moved(self) -> None:
        """A pending job has another place among the others.

        Counted before the commit and behind it: whoever compares two looks misses none.
        """
        self._count_move()
        self._undo.add(lambda: None, self._count_move)

    def _count_move(self) -> None:
        self.moves += 1

    def reserve_ids(self, count: int) -> int:
        """The first of `count` consecutive new ids. Never given out again, even if undone."""
        first = self.next_id
        self.next_id += count
        return first

    def admit(self, entry: Entry) -> None:
        self.queue.add(entry)
        self._undo.add(lambda: self.queue.remove(entry))

    def admit_range(self, entry: Entry, last: int) -> None:
        """All of one kind, from the entry's id up to `last`."""
        self.queue.add(entry, last)
        self._undo.add(lambda: self.queue.remove(entry, last))

    def withdraw(self, entry: Entry) -> None:
        if self.queue.remove(entry):
            self._undo.add(lambda: self.queue.add(entry))

    # --- running --------------------------------------------------------------------------

    def take(self, shut: Callable[[str], bool] | None = None) -> Holding | None:
        """The next job with its slot and its GPUs; None: nothing may start now.

        `shut`: whether none of a group may, whatever room there is; None: of no group.
        """
        entry = self.queue.take(self if shut is None else _Without(self, shut))
        if entry is None:
            return None
        self._undo.add(lambda: self.queue.add(entry))
        holding = Holding(self._slots.take(), self.devices.choose(entry.gpus), entry)
        self._occupy(holding)
        self._undo.add(lambda: self._vacate(entry.id))
        return holding

    def running(self, job: int) -> Holding | None:
        return self._running.get(job)

    def occupy(self, entry: Entry, slot: int, gpus: Sequence[int]) -> None:
        """A job that an earlier daemon started keeps what it has."""
        self._keep(Holding(slot, tuple(gpus), entry))
        self._undo.add(lambda: self._vacate(entry.id))

    def release(self, job: int) -> None:
        held = self._vacate(job)
        self._undo.add(lambda: self._keep(held))

    def _keep(self, holding: Holding) -> None:
        self._slots.keep(holding.slot)
        self._occupy(holding)

    def _occupy(self, holding: Holding) -> None:
        entry = holding.entry
        self._running[entry.id] = holding
        self._occupied.add(entry.group, entry.slots)
        self.devices.give(holding.gpus)

    def _vacate(self, job: int) -> Holding:
        held = self._running.pop(job)
        self._slots.give_back(held.slot)
        self._occupied.add(held.entry.group, -held.entry.slots)
        self.devices.take_back(held.gpus)
        return held

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

    def set_group(self, name: str, share: Share | None) -> None:
        """None: there is no such group any more."""
        before = self.groups.get(name)
        self._put_group(name, share)
        self._undo.add(lambda: self._put_group(name, before))

    def _put_group(self, name: str, share: Share | None) -> None:
        if share is None:
            self.groups.pop(name, None)
        else:
            self.groups[name] = share

    def load(self, ready: Iterable[tuple[Entry, int]], counts: dict[State, int]) -> None:
        """What the disk says at the start: all that waits for its turn, and the counts.

        `ready`: jobs, each with the last of those of its kind right behind it.
        """
        before = self.queue, self.counts
        self._undo.add(lambda: self._set(*before))
        self._set(ReadyQueue(), {**self.counts, **counts})
        for entry, last in ready:
            self.queue.add(entry, last)

    def _set(self, queue: ReadyQueue, counts: dict[State, int]) -> None:
        self.queue, self.counts = queue, counts


class _Without:
    """The `Capacity` while some groups are shut: they are as if they were full."""

    def __init__(self, ledger: Ledger, shut: Callable[[str], bool]) -> None:
        self.workers, self.free_workers = ledger.workers, ledger.free_workers
        self.gpus, self.free_gpus = ledger.gpus, ledger.free_gpus
        self.limit = ledger.limit
        self._ledger = ledger
        self._shut = shut

    def free_in(self, group: str) -> int:
        return 0 if self._shut(group) else self._ledger.free_in(group)
