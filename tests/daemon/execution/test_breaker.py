"""When jobs may be started, and how often it is tried where the machine refuses."""

import os

import pytest

from jobd.core.placement import Placement
from jobd.daemon.execution.breaker import Breaker, Breakers


class FakeTimer:
    def __init__(self):
        self.due = []

    def after(self, seconds, action):
        self.due.append((seconds, action))

    def ring(self):
        """The pauses that are over now."""
        due, self.due = self.due, []
        for _, action in due:
            action()
        return [seconds for seconds, _ in due]


@pytest.fixture
def timer():
    return FakeTimer()


@pytest.fixture
def breaker(timer):
    calls = []
    made = Breaker(timer, lambda: calls.append(None))
    made.resume()
    calls.clear()
    made.calls = calls
    return made


def test_all_may_start_while_all_is_well(breaker):
    assert breaker.allows(0)
    assert breaker.allows(100)
    breaker.started()
    assert (breaker.trouble, breaker.calls) == (None, [])


@pytest.mark.parametrize("happens", [Breaker.refused, Breaker.away])
def test_a_path_in_what_is_wrong_may_be_of_any_bytes(timer, happens):
    """It stands in answers, which are UTF-8, and on terminals."""
    told = []
    built = Breaker(timer, lambda: None, told.append)
    happens(built, os.fsdecode(b"/caf\xe9\n is full"))
    assert built.trouble == "/caf\ufffd\\n is full"
    assert told in ([], [built.trouble])


def test_nothing_starts_before_it_is_resumed(timer):
    calls = []
    built = Breaker(timer, lambda: calls.append(None))
    assert not built.allows(0)
    built.resume()
    assert (built.allows(0), len(calls)) == (True, 1)


def test_nothing_starts_while_it_is_halted(breaker):
    breaker.halt()
    assert not breaker.allows(0)
    breaker.resume()
    assert breaker.allows(0)
    assert len(breaker.calls) == 1


def test_pauses_grow_and_one_job_is_tried_after_each(breaker, timer):
    pauses = []
    for _ in range(7):
        breaker.refused("disk full")
        breaker.refused("disk full")
        assert (breaker.allows(0), breaker.trouble) == (False, "disk full")
        pauses += timer.ring()
        assert (breaker.allows(0), breaker.allows(1)) == (True, False)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert len(breaker.calls) == 7


def test_the_first_success_lets_all_go_on(breaker, timer):
    breaker.refused("disk full")
    breaker.refused("disk full")
    timer.ring()
    breaker.started()
    assert (breaker.trouble, breaker.allows(5), len(breaker.calls)) == (None, True, 2)
    breaker.refused("again")
    assert timer.ring() == [1]


def test_what_has_never_begun_halts_nobody_the_first_time(breaker, timer):
    """It waits again, and will be brought elsewhere: only where that goes on it is waited a bit."""
    for _ in range(2):
        breaker.started()
        breaker.never_began("it had ended")
        assert (breaker.allows(5), breaker.trouble, timer.due) == (True, None, [])
        breaker.ran()
    for _ in range(3):
        breaker.started()
        breaker.never_began("it had ended")
    assert (breaker.allows(0), breaker.trouble) == (False, "it had ended")
    assert timer.ring() == [1]
    breaker.started()
    breaker.never_began("it had ended")
    assert timer.ring() == [1], "nothing has run since"
    breaker.started()
    breaker.ran()
    breaker.never_began("it had ended")
    assert breaker.allows(5)


def test_one_that_has_run_while_another_is_put_back_counts(breaker, timer, monkeypatch):
    """Of two threads the one that has only just looked is not to overrule the other."""
    breaker.never_began("it had ended")
    monkeypatch.setattr(timer, "after", lambda *_: breaker.ran())
    breaker.never_began("it had ended")
    breaker.started()
    breaker.never_began("it had ended")
    assert breaker.trouble is None


def test_one_that_comes_back_is_tried_at_once(timer):
    calls, away = [], []
    breaker = Breaker(timer, lambda: calls.append(None), away.append)
    breaker.resume()
    calls.clear()
    breaker.away("no answer")
    assert (breaker.allows(0), breaker.is_away, breaker.trouble) == (False, True, "no answer")
    breaker.back()
    assert (breaker.allows(0), breaker.allows(1), len(calls)) == (True, False, 1)
    breaker.started()
    assert (breaker.allows(5), breaker.trouble, away) == (True, None, ["no answer", None])
    timer.ring()
    assert len(calls) == 2, "the pause that was cut short means nothing any more"
    breaker.back()
    assert len(calls) == 2, "it was not away"


def test_however_often_it_says_that_it_is_back_it_is_asked_at_the_same_pace(breaker, timer):
    for _ in range(5):
        breaker.away("no answer")
        breaker.back()
    breaker.away("no answer")
    asked = len(breaker.calls)
    timer.ring()
    assert len(breaker.calls) == asked + 1


def test_what_has_to_be_done_before_is_done_before(breaker, timer):
    asked = []
    breaker.away("no answer", lambda: asked.append(None))
    assert timer.ring() == [1]
    assert (len(asked), breaker.calls, breaker.allows(0)) == (1, [], False)
    breaker.away("no answer")
    breaker.back()
    assert (len(asked), breaker.calls, breaker.allows(0)) == (2, [], False)
    breaker.started()
    assert (breaker.allows(9), len(breaker.calls)) == (True, 1)


def test_one_engine_keeps_no_other_from_starting(timer):
    placement, calls = Placement("local", {"far": "slurm"}), []
    breakers = Breakers(["local", "slurm"], placement, timer, lambda: calls.append(None))
    assert breakers.shut({}) is None
    breakers.resume()
    breakers["slurm"].refused("no room")
    assert (breakers.shut({}), breakers.trouble) == (
        ["slurm"], "no job can be started by engine slurm: no room",
    )  # fmt: skip
    breakers["local"].refused("disk full")
    assert breakers.shut({}) is None
    timer.ring()
    assert breakers.shut({}) == []
    assert breakers.shut({"local": 1}) == ["local"]
    breakers["local"].started()
    breakers["slurm"].away("no answer")
    assert (placement.away("far"), placement.away("default")) == ("no answer", None)
    assert breakers.trouble == "engine slurm is away: no answer"
    breakers["slurm"].refused("no room")
    assert placement.away("far") is None
    breakers.halt()
    assert breakers.shut({}) is None


def test_with_one_engine_its_name_is_not_told(timer):
    breakers = Breakers(["local"], Placement("local"), timer, lambda: None)
    breakers["local"].refused("disk full")
    assert breakers.trouble == "no job can be started: disk full"


def test_a_pause_that_ends_does_not_lift_a_halt(breaker, timer):
    breaker.refused("disk full")
    breaker.halt()
    timer.ring()
    assert not breaker.allows(0)
