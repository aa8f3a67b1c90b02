"""A mass change in slices, seen from a verb: what it is asked about, and what becomes of it."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from jobd.contract.call import Call, Caller, Role
from jobd.contract.errors import BadRequest
from jobd.contract.models import Note, Selector, Stop
from jobd.contract.states import State
from jobd.core.ready_queue import Entry
from jobd.daemon.commands import bulk as module
from jobd.daemon.commands.bulk import Bulk, Verb
from jobd.daemon.commands.stop import StopJobs
from jobd.store.records import Look

CALL = Call(Caller("me", Role.ADMIN))


def look(job, state=State.PENDING):
    return Look(
        entry=Entry(job), state=state, reason=None, attempt=0, environment=0, held=False,
        paused=False, parents=0, unmet=0, due=None, failures=0,
    )  # fmt: skip


class Disk:
    """All that a mass change reads. Each transaction is run twice, as if others had spoilt it."""

    def __init__(self, *looks, matching=None):
        self._looks = {each.id: each for each in looks}
        self._matching = matching

    def looks(self, piece):
        return {job: self._looks[job] for job in piece if job in self._looks}

    def matching(self, piece, _):
        return self._matching & set(piece)

    def last_seq(self):
        return 7

    def resolve(self, selector):
        ids = [job for first, last in selector.ids for job in range(first, last + 1)]
        return ids, []

    def parents_first(self, ids, chosen):
        assert all(map(chosen, ids))
        return ids[::-1]

    def one_at_a_time(self, _):
        return nullcontext()

    def once(self, _key, _kind, action):
        action()
        return action()

    def bulk(self):
        return Bulk(self, self, self, self, self, self)


class Noted(Verb):
    """Is content with every job."""

    def __init__(self):
        self.committed_slices = []

    def decide(self, job, result):
        result.done.append(job.id)

    def committed(self, jobs):
        self.committed_slices.append([*jobs])


def chosen(*jobs, **filters):
    return Selector(ids=[(job, job) for job in jobs], **filters)


def test_nothing_named_is_nothing_to_do():
    with pytest.raises(BadRequest, match="name the jobs"):
        Disk().bulk().act(Selector(), CALL, Noted())


def test_each_slice_is_told_as_soon_as_it_is_on_disk(monkeypatch):
    monkeypatch.setattr(module, "SLICE", 2)
    verb = Noted()
    acted = Disk(*map(look, (1, 2, 3))).bulk().act(chosen(1, 2, 3), CALL, verb)
    assert (acted.done, acted.since, acted.more) == ([1, 2, 3], 7, False)
    assert verb.committed_slices == [[1, 2], [3]]


def test_slices_are_as_long_as_they_may_take(monkeypatch):
    """Whoever submits a job meanwhile waits for one of them, however dear the verb is."""
    now = [0.0]

    class Dear(Noted):
        def decide(self, job, result):
            now[0] += 0.0002 if job.id <= 1000 else 0.00001
            super().decide(job, result)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    verb = Dear()
    Disk(*map(look, range(1, 3001))).bulk().act(chosen(*range(1, 3001)), CALL, verb)
    lengths = [len(jobs) for jobs in verb.committed_slices]
    assert sum(lengths) == 3000
    # 10 ms each, then as many as there may be.
    assert max(lengths[:20]) <= 50
    assert lengths[-2] == module.SLICE


def test_what_is_not_meant_any_more_is_told_why_in_its_turn():
    disk = Disk(look(1), look(2, State.RUNNING), look(3), look(4, State.STOPPED), matching={1, 4})
    selector = chosen(1, 2, 3, 4, states=[State.PENDING], tags=["t"])
    acted = disk.bulk().act(selector, CALL, Noted())
    assert acted.done == [1]
    assert acted.notices == [
        Note(id=2, text="is running by now"),
        Note(id=3, text="has been changed meanwhile, and is left as it is"),
        Note(id=4, text="has already been stopped"),
    ]


def test_a_verb_may_decide_about_what_has_moved_itself():
    class Own(Noted):
        spares_moved = False

    disk = Disk(look(1, State.RUNNING), look(2), matching={1})
    selector = chosen(1, 2, states=[State.PENDING], tags=["t"])
    acted = disk.bulk().act(selector, CALL, Own())
    assert acted.done == [1]
    assert [note.id for note in acted.notices] == [2]


def test_a_verb_may_want_those_first_that_others_wait_for():
    class Ordered(Noted):
        parents_first = True

    assert Disk(look(1), look(2)).bulk().act(chosen(1, 2), CALL, Ordered()).done == [2, 1]


def test_pending_jobs_are_stopped_together_and_once_though_their_slice_is_done_again():
    withdrawn = []
    moves = SimpleNamespace(withdrawn=lambda jobs, _: withdrawn.append([job.id for job in jobs]))
    stop = StopJobs(
        bulk=Disk(look(1), look(2, State.COMPLETED), look(3)).bulk(), moves=moves,
        dependencies=None, runs={},
        stop_orders=SimpleNamespace(by_user=lambda *_: SimpleNamespace(grace=7.0)),
    )  # fmt: skip
    acted = stop.stop(Stop(selector=chosen(1, 2, 3)), CALL)
    assert acted.done == [1, 3]
    assert acted.grace == 7.0
    assert acted.notices == [Note(id=2, text="has already completed")]
    assert withdrawn == [[1, 3], [1, 3]]
