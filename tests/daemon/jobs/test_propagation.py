"""Those that wait for a job hear of its end in slices, which are as long as others may wait."""

from types import SimpleNamespace

from jobd.contract.states import State
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs import propagation as module
from jobd.daemon.jobs.propagation import Propagation
from jobd.store.records import Look


def look(job):
    return Look(
        entry=Entry(job), state=State.PENDING, reason=None, attempt=0, environment=0, held=False,
        paused=False, parents=1, unmet=1, due=None, failures=0,
    )  # fmt: skip


class Waiting:
    """Job 1 has failed, and so many others wait for it: store, moves and memory in one."""

    def __init__(self, count, seconds_each):
        self.left = list(range(2, 2 + count))
        self.now = 0.0
        self.some = True
        self._each = seconds_each
        self.slices = []

    def next_change(self):
        return (1, self.left[0] - 1, State.FAILED) if self.left else None

    def children(self, _parent, _behind, limit):
        return [(job, False) for job in self.left[:limit]]

    def told(self, _parent, last):
        self.left = [] if last is None else [job for job in self.left if job > last]

    def look(self, job, *, staged):
        assert staged
        return look(job)

    def failed(self, job, reason):
        assert reason == "dependency failed: 1"
        self.now += self._each(job.id)
        self.slices[-1] += 1

    def none_left(self):
        self.some = False


def slices_of(monkeypatch, count, seconds_each):
    waiting = Waiting(count, seconds_each)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: waiting.now))
    propagation = Propagation(waiting, waiting, waiting, waiting, waiting)
    more = True
    while more:
        waiting.slices.append(0)
        more = propagation.tell()
    assert sum(waiting.slices) == count
    return waiting.slices


def test_they_are_told_a_few_at_a_time_where_that_is_slow(monkeypatch):
    assert max(slices_of(monkeypatch, 1000, lambda _: 0.0002)) <= 51


def test_and_many_where_it_is_quick(monkeypatch):
    slices = slices_of(monkeypatch, 5000, lambda _: 0.00001)
    assert module.SLICE - 1 <= max(slices) <= module.SLICE
    assert len(slices) < 20


def test_one_that_takes_long_makes_the_next_slice_short_at_once(monkeypatch):
    slices = slices_of(monkeypatch, 5000, lambda job: 0.2 if job == 3000 else 0.00001)
    slow = next(number for number, _ in enumerate(slices) if sum(slices[: number + 1]) >= 2999)
    assert slices[slow + 1] <= 51
