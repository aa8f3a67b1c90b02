"""The ready queue against the simplest model that can be: a list that is sorted each time."""

import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from jobd.core.intervals import Intervals
from jobd.core.ready_queue import Entry, ReadyQueue, _Lane

ids = st.integers(1, 60)
entries = st.builds(
    Entry,
    id=ids,
    priority=st.integers(-2, 2),
    group=st.sampled_from(["default", "a", "b"]),
    slots=st.integers(1, 4),
    gpus=st.integers(0, 2),
)


class Capacity:
    """As much as a test says; `limits` and `taken` by group."""

    def __init__(self, free=1000, workers=1000, gpus=1000, free_gpus=None, limits=None, taken=None):
        self.workers = workers
        self.free_workers = free
        self.gpus = gpus
        self.free_gpus = gpus if free_gpus is None else free_gpus
        self.limits = limits or {}
        self.taken = taken or {}

    def limit(self, group):
        return self.limits.get(group, self.workers)

    def free_in(self, group):
        return self.limit(group) - self.taken.get(group, 0)


rooms = st.builds(
    Capacity,
    free=st.integers(-1, 4),
    workers=st.integers(0, 4),
    gpus=st.integers(0, 2),
    free_gpus=st.integers(0, 2),
    limits=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 4)),
    taken=st.dictionaries(st.sampled_from(["default", "a", "b"]), st.integers(0, 4)),
)


def fill(queue, entries):
    for entry in entries:
        queue.add(entry)


def in_order(waiting):
    return sorted(waiting, key=lambda e: (-e.priority, e.id))


def expected_to_start(waiting, room):
    """The rules of `jobd.core.ready_queue`, one job after the other."""
    if room.free_workers < 1:
        return None
    waiting_groups, gpus_awaited = set(), False
    for entry in in_order(waiting):
        fits_ever = entry.slots <= min(room.workers, room.limit(entry.group))
        if not fits_ever or entry.gpus > room.gpus or entry.group in waiting_groups:
            continue
        if entry.slots > room.free_in(entry.group):
            waiting_groups.add(entry.group)
        elif entry.gpus and (gpus_awaited or entry.gpus > room.free_gpus):
            gpus_awaited = True
        else:
            return entry if entry.slots <= room.free_workers else None
    return None


class QueueMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.queue = ReadyQueue()
        self.model = {}

    @property
    def expected(self):
        return in_order(self.model.values())

    @rule(entry=entries)
    def add(self, entry):
        if entry.id not in self.model:
            self.queue.add(entry)
            self.model[entry.id] = entry

    @rule(entry=entries, length=st.integers(1, 20))
    def add_range(self, entry, length):
        last = entry.id + length - 1
        if not any(job in self.model for job in range(entry.id, last + 1)):
            self.queue.add(entry, last)
            self.model.update({n: replace(entry, id=n) for n in range(entry.id, last + 1)})

    @rule(entry=entries, length=st.integers(1, 20))
    def remove_range(self, entry, length):
        members = [replace(entry, id=n) for n in range(entry.id, entry.id + length)]
        whole = all(self.model.get(member.id) == member for member in members)
        assert self.queue.remove(entry, entry.id + length - 1) == whole
        for member in members if whole else ():
            del self.model[member.id]

    @rule(job=ids)
    def what_waits_is_not_added_again(self, job):
        if job in self.model:
            with pytest.raises(ValueError, match="already"):
                self.queue.add(self.model[job])

    @rule(entry=entries)
    def remove(self, entry):
        """Only by all of its kind: an id alone says nothing."""
        assert self.queue.remove(entry) == (self.model.get(entry.id) == entry)
        if self.model.get(entry.id) == entry:
            del self.model[entry.id]

    @rule(job=ids)
    def remove_and_add_again(self, job):
        entry = self.model.get(job)
        if entry is not None:
            assert self.queue.remove(entry)
            assert entry not in self.queue
            self.queue.add(entry)

    @rule(room=rooms)
    def take(self, room):
        best = expected_to_start(self.model.values(), room)
        assert self.queue.best(room) == best
        assert self.queue.take(room) == best
        if best is not None:
            del self.model[best.id]

    @rule(limit=st.integers(0, 70))
    def order(self, limit):
        assert self.queue.order(limit) == self.expected[:limit]

    @rule(entry=entries, cap=st.integers(0, 20))
    def ahead(self, entry, cap):
        before = [e for e in self.expected if (-e.priority, e.id) < (-entry.priority, entry.id)]
        assert self.queue.ahead_of(entry, cap) == min(len(before), cap)

    @invariant()
    def agrees(self):
        assert len(self.queue) == len(self.model)
        assert all(entry in self.queue for entry in self.model.values())
        assert self.queue.order() == self.expected
        for group in ("default", "a", "b"):
            members = [e for e in self.model.values() if e.group == group]
            assert self.queue.waiting_in(group) == len(members)

    @invariant()
    def leaves_nothing_behind(self):
        for lane in self.queue._lanes.values():
            assert lane.length == sum(len(i) for k in lane.kinds.values() for i in k.values()) > 0
            assert all(len(ids) for kinds in lane.kinds.values() for ids in kinds.values())


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


class IntervalMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.intervals = Intervals()
        self.model = set()

    @rule(first=ids, length=st.integers(1, 10))
    def add(self, first, length):
        new = set(range(first, first + length))
        if new & self.model:
            with pytest.raises(ValueError, match="already"):
                self.intervals.add(first, first + length - 1)
        else:
            self.intervals.add(first, first + length - 1)
            self.model |= new

    @rule(first=ids, length=st.integers(1, 10))
    def discard(self, first, length):
        old = set(range(first, first + length))
        assert self.intervals.discard(first, first + length - 1) == (old <= self.model)
        if old <= self.model:
            self.model -= old

    @invariant()
    def agrees(self):
        assert list(self.intervals) == sorted(self.model)
        assert len(self.intervals) == len(self.model)
        assert all((n in self.intervals) == (n in self.model) for n in range(72))
        gaps = zip(sorted(self.model), sorted(self.model)[1:], strict=False)
        assert len(self.intervals._last) == sum(b - a > 1 for a, b in gaps) + bool(self.model)


TestIntervals = IntervalMachine.TestCase
TestIntervals.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def taken(queue, room, count):
    return [entry.id for _ in range(count) if (entry := queue.take(room)) is not None]


def test_higher_priority_first_then_the_lower_id():
    queue = ReadyQueue()
    fill(queue, [Entry(1), Entry(2, 100), Entry(3, -100), Entry(4, 100), Entry(5)])
    assert taken(queue, Capacity(), 6) == [2, 4, 1, 5, 3]


def test_a_heavy_head_is_not_overtaken():
    queue = ReadyQueue()
    fill(queue, [Entry(1, slots=3), Entry(2)])
    assert queue.take(Capacity(free=2)) is None
    assert queue.take(Capacity(free=3)).id == 1


def test_what_can_never_fit_holds_nobody_up():
    queue = ReadyQueue()
    fill(queue, [Entry(1, slots=4), Entry(2, gpus=3), Entry(3)])
    assert taken(queue, Capacity(workers=3, gpus=2), 3) == [3]


def test_groups_share_one_order():
    queue = ReadyQueue()
    fill(queue, (Entry(n, group=f"g{n % 3}") for n in range(1, 10)))
    assert taken(queue, Capacity(), 9) == list(range(1, 10))


def test_a_full_group_leaves_the_rest_to_others():
    queue = ReadyQueue()
    fill(queue, [*(Entry(n, group="a") for n in range(1, 50)), Entry(50), Entry(51)])
    room = Capacity(limits={"a": 1}, taken={"a": 1})
    assert taken(queue, room, 5) == [50, 51]


def test_a_heavy_job_is_not_starved_within_its_group():
    queue = ReadyQueue()
    fill(queue, [Entry(1, group="a", slots=2), Entry(2, group="a"), Entry(3, group="a", gpus=1)])
    assert queue.take(Capacity(limits={"a": 2}, taken={"a": 1})) is None
    assert taken(queue, Capacity(limits={"a": 2}), 1) == [1]


def test_who_waits_for_gpus_keeps_only_those_waiting_who_want_some():
    queue = ReadyQueue()
    fill(queue, [Entry(1, gpus=2), Entry(2, gpus=1, group="b"), Entry(3)])
    room = Capacity(gpus=2, free_gpus=1)
    assert taken(queue, room, 3) == [3]
    assert taken(queue, Capacity(gpus=2), 1) == [1]


def test_a_million_jobs_of_a_kind_are_one_interval():
    queue = ReadyQueue()
    queue.add(Entry(1), 1_000_000)
    for job in range(1, 1001):
        assert queue.take(Capacity()).id == job
    queue.remove(Entry(500_000))
    (lane,) = queue._lanes.values()
    assert [len(kind._last) for kinds in lane.kinds.values() for kind in kinds.values()] == [2]
    assert len(queue) == 998_999


def test_a_big_queue_costs_no_more_than_a_small_one():
    """Far above what it takes (some µs each), far below what any scan of the queue would take."""
    queue, room = ReadyQueue(), Capacity()
    fill(queue, (Entry(n, n % 5) for n in range(1, 100_001)))
    started = time.process_time()
    for n in range(1000):
        queue.take(room)
        queue.add(Entry(200_000 + n, n % 5))
        queue.remove(Entry(50_000 + n, (50_000 + n) % 5))
        queue.order(10)
    assert time.process_time() - started < 1.0


def test_whoever_counts_sees_lanes_come_and_go():
    """Clients' threads count while the writer's adds and takes out."""

    class Watched(_Lane):
        """While its jobs are counted, another lane comes."""

        @property
        def length(self):
            queue.add(Entry(id=len(queue._lanes) + 1, group=f"other-{len(queue._lanes)}"))
            return 7

        @length.setter
        def length(self, _):
            pass

    queue = ReadyQueue()
    for group in ("a", "b"):
        queue._lanes[group, False] = Watched(group)
    assert len(queue) == 14
    assert queue.waiting_in("a") == 7
