"""The ready queue against the simplest model that can be: a list that is sorted each time."""

import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jobd.core.ready import Entry, ReadyQueue

ids = st.integers(1, 60)
entries = st.builds(
    Entry,
    id=ids,
    priority=st.integers(-2, 2),
    group=st.sampled_from(["default", "a", "b"]),
    slots=st.integers(1, 4),
)


def in_order(waiting):
    return sorted(waiting, key=lambda e: (-e.priority, e.id))


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
        if entry.id in self.model:
            with pytest.raises(ValueError, match="already"):
                self.queue.add(entry)
        else:
            self.queue.add(entry)
            self.model[entry.id] = entry

    @rule(batch=st.lists(entries, unique_by=lambda e: e.id))
    def add_many(self, batch):
        fresh = [e for e in batch if e.id not in self.model]
        self.queue.add_many(fresh)
        self.model.update((e.id, e) for e in fresh)

    @rule(job=ids)
    def remove(self, job):
        assert self.queue.remove(job) == self.model.pop(job, None)

    @rule(job=ids)
    def remove_and_add_again(self, job):
        """The same record comes back: what the first one left behind must not count."""
        entry = self.queue.remove(job)
        if entry is not None:
            self.queue.add(entry)

    @rule(entry=entries)
    def change(self, entry):
        assert self.queue.change(entry) == (entry.id in self.model)
        if entry.id in self.model:
            self.model[entry.id] = entry

    @rule(free=st.integers(-1, 4))
    def take(self, free):
        best = self.expected[0] if self.model else None
        fits = best is not None and best.slots <= free
        assert self.queue.take(free) == (best if fits else None)
        if fits:
            del self.model[best.id]

    @rule(limit=st.integers(0, 70))
    def order(self, limit):
        assert self.queue.order(limit) == self.expected[:limit]

    @rule(job=ids, cap=st.integers(0, 20))
    def position(self, job, cap):
        place = [e.id for e in self.expected].index(job) if job in self.model else None
        assert self.queue.position(job, cap) == (None if place is None else min(place, cap))

    @invariant()
    def agrees(self):
        assert len(self.queue) == len(self.model)
        assert all((job in self.queue) == (job in self.model) for job in range(1, 61))
        assert self.queue.peek() == (self.expected[0] if self.model else None)
        assert self.queue.order() == self.expected

    @invariant()
    def leaves_little_behind(self):
        for lane in self.queue._lanes.values():
            assert lane.living <= len(lane.heap) <= 2 * lane.living + 32


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_higher_priority_first_then_the_lower_id():
    queue = ReadyQueue()
    queue.add_many([Entry(1), Entry(2, 100), Entry(3, -100), Entry(4, 100), Entry(5)])
    assert [queue.take(1).id for _ in range(5)] == [2, 4, 1, 5, 3]
    assert queue.take(1) is None
    assert queue.peek() is None


def test_a_heavy_head_is_not_overtaken():
    queue = ReadyQueue()
    queue.add_many([Entry(1, slots=3), Entry(2)])
    assert queue.take(2) is None
    assert queue.take(3).id == 1


def test_groups_share_one_order():
    queue = ReadyQueue()
    queue.add_many(Entry(n, group=f"g{n % 3}") for n in range(1, 10))
    assert [queue.take(1).id for _ in range(9)] == list(range(1, 10))


@pytest.mark.parametrize("step", [1, -1])
def test_mass_removal_keeps_no_memory(step):
    queue = ReadyQueue()
    queue.add_many(Entry(n) for n in range(1, 5001))
    for job in list(range(1, 5001))[::step]:
        queue.remove(job)
        assert len(queue._lanes["default"].heap) <= 2 * len(queue) + 32
    assert not queue._lanes["default"].heap


def test_a_big_queue_costs_no_more_than_a_small_one():
    """Far above what it takes (some µs each), far below what any scan of the queue would take."""
    queue = ReadyQueue()
    queue.add_many(Entry(n, n % 5) for n in range(1, 100_001))
    started = time.process_time()
    for n in range(1000):
        queue.take(1)
        queue.add(Entry(200_000 + n, n % 5))
        queue.remove(50_000 + n)
        queue.order(10)
    assert time.process_time() - started < 1.0
