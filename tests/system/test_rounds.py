"""A thread that sleeps until it is woken, or until its time, and then makes a round."""

import threading
import time

import pytest

from jobd.system import rounds as module
from jobd.system.rounds import Bell, Rounds
from tests.helpers import wait_until


class Made:
    """Rounds that are counted; each gives what `next_in` says."""

    def __init__(self, **options):
        self.count = 0
        self.next_in = None
        self.under_way = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.bell = Bell()
        self.rounds = Rounds("walker", self._make, self.bell, **options)
        self.rounds.start()

    def _make(self):
        self.under_way.set()
        self.gate.wait(10)
        self.count += 1
        if isinstance(self.next_in, Exception):
            raise self.next_in
        return self.next_in


@pytest.fixture
def make():
    made = []

    def begin(**options):
        made.append(Made(**options))
        return made[-1]

    yield begin
    for one in made:
        one.gate.set()
        one.rounds.close()


def test_it_makes_one_when_it_is_woken_and_then_sleeps(make):
    made = make()
    assert made.count == 0
    made.bell.ring()
    wait_until(lambda: made.count == 1)
    assert (made.bell.is_rung, made.bell.at) == (False, None)


def test_what_comes_during_a_round_is_the_next_ones(make):
    made = make()
    made.gate.clear()
    made.bell.ring()
    assert made.under_way.wait(10)
    made.bell.ring()
    made.bell.ring()
    made.gate.set()
    wait_until(lambda: made.count == 2)


def test_it_is_woken_by_its_time_and_an_earlier_one_stands(make):
    made = make()
    made.bell.ring_in(3600)
    before = made.bell.at
    made.bell.ring_in(7200)
    assert made.bell.at == before
    made.bell.ring_in(0.01)
    wait_until(lambda: made.count == 1)
    assert made.bell.at is None


def test_of_two_times_that_are_said_at_once_the_earlier_one_stands():
    bell = Bell()
    changed = bell._changed

    class OthersFirst:
        """Whoever wants the lock finds that somebody else was quicker."""

        def __enter__(self):
            bell._changed = changed
            bell.ring_in(5)
            return changed.__enter__()

        def __exit__(self, *about):
            return changed.__exit__(*about)

        def notify(self):
            changed.notify()

    bell._changed = OthersFirst()
    bell.ring_in(3600)
    assert bell.at < time.monotonic() + 60


def test_a_round_says_when_the_next_one_is(make):
    made = make()
    made.next_in = 0.01
    made.bell.ring()
    wait_until(lambda: made.count >= 3)
    made.next_in = 3600.0
    wait_until(lambda: made.bell.at is not None and made.bell.at > time.monotonic() + 60)


def test_much_that_happens_at_once_is_one_round(make):
    made = make(gather_s=0.2)
    for _ in range(5):
        made.bell.ring()
    wait_until(lambda: made.count)
    assert (made.count, made.bell.is_rung) == (1, False)


def test_one_that_breaks_down_is_tried_again(make, monkeypatch, caplog):
    monkeypatch.setattr(module, "_FAULT_S", 0.01)
    made = make()
    made.next_in = ValueError("odd")
    made.bell.ring()
    wait_until(lambda: made.count >= 2)
    assert "the walker broke down" in caplog.text
    made.next_in = None


def test_it_ends_from_its_sleep_and_what_is_last_is_done_by_its_thread(make):
    seen = []
    made = make(last=lambda: seen.append(threading.current_thread().name))
    assert made.rounds.close()
    assert (seen, made.count) == (["walker"], 0)
    assert not made.rounds.close()


def test_nobody_waits_for_long_for_a_round_that_is_under_way(make):
    made = make()
    made.gate.clear()
    made.bell.ring()
    assert made.under_way.wait(10)
    assert made.rounds.close(0.01)
    assert (made.rounds.closed, made.rounds.rest(60), made.count) == (True, True, 0)


@pytest.mark.parametrize("gather_s", [0.0, 0.01])
def test_one_that_is_closed_the_moment_it_wakes_up_does_not_sleep_on(gather_s):
    class Closing(Bell):
        """It is closed by another thread just before what was rung is forgotten."""

        def hush(self):
            closer = threading.Thread(target=rounds.close, args=[0])
            closer.start()
            closer.join()
            super().hush()

    rounds = Rounds("walker", lambda: None, Closing(), gather_s=gather_s)
    rounds.bell.ring()
    rounds.start()
    wait_until(lambda: not rounds._thread.is_alive())


def test_one_that_never_began_is_closed_at_once():
    assert not Rounds("idler", lambda: None, Bell()).close()
