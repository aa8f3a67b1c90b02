"""When jobs may be started, and how often it is tried where the machine refuses."""

import pytest

from jobd.daemon.execution.breaker import Breaker


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


def test_a_pause_that_ends_does_not_lift_a_halt(breaker, timer):
    breaker.refused("disk full")
    breaker.halt()
    timer.ring()
    assert not breaker.allows(0)
