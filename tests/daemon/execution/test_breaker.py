"""When jobs may be started, and how often it is tried where the machine refuses."""

import pytest

from jobd.daemon.execution.breaker import Brake


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
def brake(timer):
    made = Brake(timer)
    made.calls = []
    made.released = lambda: made.calls.append(None)
    return made


def test_all_may_start_while_all_is_well(brake):
    assert brake.allows(0)
    assert brake.allows(100)
    brake.started()
    assert (brake.trouble, brake.calls) == (None, [])


def test_nothing_starts_while_it_is_halted(brake):
    brake.halt()
    assert not brake.allows(0)
    brake.resume()
    assert brake.allows(0)
    assert len(brake.calls) == 1


def test_pauses_grow_and_one_job_is_tried_after_each(brake, timer):
    pauses = []
    for _ in range(7):
        brake.refused("disk full")
        brake.refused("disk full")
        assert (brake.allows(0), brake.trouble) == (False, "disk full")
        pauses += timer.ring()
        assert (brake.allows(0), brake.allows(1)) == (True, False)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert len(brake.calls) == 7


def test_the_first_success_lets_all_go_on(brake, timer):
    brake.refused("disk full")
    brake.refused("disk full")
    timer.ring()
    brake.started()
    assert (brake.trouble, brake.allows(5), len(brake.calls)) == (None, True, 2)
    brake.refused("again")
    assert timer.ring() == [1]


def test_a_pause_that_ends_does_not_lift_a_halt(brake, timer):
    brake.refused("disk full")
    brake.halt()
    timer.ring()
    assert not brake.allows(0)
