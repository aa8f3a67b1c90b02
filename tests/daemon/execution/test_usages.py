"""What jobs use is looked at only while somebody looks, and once for many who do."""

import threading
from types import SimpleNamespace

import pytest

from jobd.contract.models import Gpu
from jobd.core.usage import Usage
from jobd.daemon.execution.usages import Usages
from jobd.engines.base import Away


class Engine:
    def __init__(self):
        self.asked = []
        self.fails = None

    def usage(self, processes):
        self.asked.append(list(processes))
        if self.fails:
            raise self.fails
        return [Usage(cpu_s=float(number)) for number in processes]


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def usages(engine):
    """Jobs 1 and 2 run, 3 has no process yet."""
    runs = {
        job: SimpleNamespace(
            id=job, engine="e", process=process, started=SimpleNamespace(token=f"t{job}")
        )
        for job, process in [(1, 10), (2, 20), (3, None)]
    }
    made = Usages(runs, {"e": engine}, lambda: made.now)
    made.now = 0.0
    return made


def test_many_who_look_cost_one_look(engine, usages):
    assert usages.of([1, 2, 3, 4]) == {1: Usage(10.0), 2: Usage(20.0)}
    usages.now = 1.0
    assert usages.of([2, 1]) == {2: Usage(20.0), 1: Usage(10.0)}
    assert engine.asked == [[10, 20]]
    usages.now = 1.1
    assert usages.of([2]) == {2: Usage(20.0)}
    assert engine.asked == [[10, 20], [20]]


def test_only_what_was_not_seen_is_looked_at(engine, usages):
    usages.of([1])
    assert usages.of([1, 2]) == {1: Usage(10.0), 2: Usage(20.0)}
    assert engine.asked == [[10], [20]]


def test_nobody_is_asked_for_nothing(engine, usages):
    assert usages.of([]) == usages.of([3, 9]) == {}
    assert engine.asked == []


@pytest.mark.parametrize(
    "fault", [Away("gone"), OSError(24, "no descriptor"), RuntimeError("a defect")]
)
def test_an_engine_that_cannot_say_says_nothing(engine, usages, fault):
    engine.fails = fault
    assert usages.of([1]) == {}
    engine.fails = None
    assert usages.of([1]) == {1: Usage(10.0)}


def test_who_comes_during_a_look_shares_it(engine, usages):
    looking, go_on, real = threading.Event(), threading.Event(), engine.usage

    def slowly(processes):
        looking.set()
        assert go_on.wait(10)
        return real(processes)

    engine.usage = slowly
    found = []
    threads = [threading.Thread(target=lambda: found.append(usages.of([1]))) for _ in range(5)]
    threads[0].start()
    assert looking.wait(10)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert found == [{1: Usage(10.0)}] * 5
    assert engine.asked == [[10]]


# --- GPUs -----------------------------------------------------------------------------------------


class Seeing:
    """An engine that sees GPUs."""

    def __init__(self, found=(), fault=None):
        self.found = found
        self.fault = fault
        self.looks = True

    def gpus(self):
        if self.fault:
            raise self.fault
        return self.found

    def look_no_more(self):
        self.looks = False
        if self.fault:
            raise self.fault


@pytest.mark.parametrize(
    "fault", [Away("gone"), OSError(24, "no descriptor"), RuntimeError("a defect")]
)
def test_an_engine_that_cannot_tell_of_gpus_hides_no_other(engine, fault):
    gpu = Gpu(index=0)
    both = {"a": Seeing(fault=fault), "b": Seeing([gpu]), "e": engine}
    usages = Usages({}, both)
    assert usages.gpus() == [gpu]
    assert Usages({}, {"a": both["a"]}).gpus() is None
    usages.close()
    assert [both["a"].looks, both["b"].looks] == [False, False]
