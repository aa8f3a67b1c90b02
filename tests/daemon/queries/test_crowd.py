"""How often those are told who wait for everything."""

import threading
from types import SimpleNamespace

import pytest

from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.queries import crowd as module
from jobd.daemon.queries.crowd import Crowd
from tests.helpers import wait_until


class Clock:
    """Time stands still unless it is told to go on; in the place of the timer, too."""

    def __init__(self):
        self.now = 100.0
        self.due = []

    def monotonic(self):
        return self.now

    def after(self, seconds, action):
        self.due.append((self.now + seconds, action))

    def go_on(self, seconds):
        self.now += seconds
        ready = [each for each in self.due if each[0] <= self.now]
        self.due = [each for each in self.due if each[0] > self.now]
        for _, action in ready:
            action()


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture
def crowd(clock):
    made = Crowd(clock)
    yield made
    made.closed()


def waiting(crowd, count, after=0):
    """Threads that wait for the first event behind `after`."""
    threads = [threading.Thread(target=crowd.wait, args=[after, 60.0]) for _ in range(count)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(crowd._waiting) == count)
    return threads


def test_where_nobody_waits_nothing_is_put_off(crowd, clock):
    for number in range(1, 20):
        crowd.published(number)
        assert crowd.newest == number
    assert clock.due == []


def test_one_is_told_of_the_first_at_once_and_of_all_others_in_steps(crowd, clock):
    (thread,) = waiting(crowd, 1)
    crowd.published(1)
    thread.join(10)
    crowd.published(2)
    (thread,) = waiting(crowd, 1, 1)
    crowd.published(3)
    assert crowd.newest == 1
    clock.go_on(module._SHORTEST_S)
    thread.join(10)
    assert (crowd.newest, clock.due) == (3, [])


def test_many_are_told_of_the_first_at_once_and_of_all_others_in_steps(crowd, clock):
    threads = waiting(crowd, 40)
    crowd.published(1)
    for thread in threads:
        thread.join(10)
    threads, steps = waiting(crowd, 40, 1), {crowd.newest}
    for number in range(2, 100):
        clock.go_on(0.001)
        crowd.published(number)
        steps.add(crowd.newest)
    # 98 ms, and a step each 100 ms.
    assert (steps, len(clock.due)) == ({1}, 1)
    clock.go_on(0.01)
    for thread in threads:
        thread.join(10)
    assert (crowd.newest, clock.due) == (99, [])


def test_however_many_they_are_nobody_waits_for_long(crowd, clock):
    threads = waiting(crowd, 300)
    crowd.published(1)
    for thread in threads:
        thread.join(10)
    crowd.published(2)
    assert crowd.newest == 1
    clock.go_on(module._LONGEST_S)
    assert crowd.newest == 2


def test_after_a_while_of_silence_an_event_is_told_at_once(crowd, clock):
    threads = waiting(crowd, 40)
    crowd.published(1)
    for thread in threads:
        thread.join(10)
    clock.go_on(1.0)
    crowd.published(2)
    assert crowd.newest == 2


def test_whoever_waits_is_let_go_with_the_notifier(clock):
    notifier, crowd = Notifier(), Crowd(clock)
    notifier.subscribe(crowd)
    threads = waiting(crowd, 8)
    notifier.published(1)
    for thread in threads:
        thread.join(10)
    threads = waiting(crowd, 8, 1)
    notifier.published(2)
    assert crowd.newest == 1
    notifier.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert crowd.newest == 2
