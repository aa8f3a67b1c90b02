"""Timer and hub: who sleeps is woken, once, in order, and for nothing else."""

import threading
import time

import pytest

from jobd.daemon.jobs.notifier import Notifier, Subscriber
from jobd.system.timer import Timer
from tests.helpers import wait_until


@pytest.fixture
def timer():
    made = Timer()
    made.start()
    yield made
    made.close()


def test_deadlines_come_in_their_order(timer):
    now, came = time.monotonic(), []
    for number in (3, 1, 2, 0):
        timer.at(now + number / 100, lambda number=number: came.append(number))
    wait_until(lambda: len(came) == 4)
    assert came == [0, 1, 2, 3]
    assert time.monotonic() >= now + 0.03


def test_equal_deadlines_are_first_in_first_out(timer):
    when, came = time.monotonic() + 0.01, []
    for number in range(20):
        timer.at(when, lambda number=number: came.append(number))
    wait_until(lambda: len(came) == 20)
    assert came == list(range(20))


def test_one_that_breaks_does_not_stop_the_others(timer):
    done = threading.Event()
    timer.after(0, lambda: 1 / 0)
    timer.after(0, done.set)
    assert done.wait(10)


def test_an_earlier_deadline_overtakes_the_one_that_is_slept_for(timer):
    done = threading.Event()
    timer.after(1000, lambda: None)
    timer.after(0.01, done.set)
    assert done.wait(10)


def test_who_waits_is_woken_by_those_jobs_and_no_others():
    notifier = Notifier()
    one, some = notifier.register(2), notifier.register_any(range(1, 3).__contains__)
    notifier.finished(3)
    assert not one.wait(0)
    assert not some.wait(0)
    notifier.finished(1)
    assert some.wait(0)
    assert not one.wait(0)
    notifier.finished(2)
    assert one.wait(0)


def test_who_has_gone_costs_nothing():
    notifier = Notifier()
    waiters = [notifier.register(1), notifier.register(1), notifier.register_any(lambda _: True)]
    for waiter in waiters:
        notifier.unregister(waiter)
    notifier.finished(1)
    assert not any(waiter.wait(0) for waiter in waiters)
    assert (notifier._single, notifier._several) == ({}, set())


def test_all_that_somebody_waits_for_is_awaited():
    notifier = Notifier()
    with notifier.awaiting(range(1, 10).__contains__), notifier.awaiting(lambda job: job == 20):
        assert [job for job in range(30) if notifier.awaited(job)] == [*range(1, 10), 20]
    assert not notifier.awaited(5)


def test_whoever_waits_for_an_event_is_woken_by_it():
    notifier = Notifier()
    notifier.published(5)
    assert notifier.wait_event(4, 0)
    assert not notifier.wait_event(5, 0.01)
    threading.Timer(0.02, notifier.published, [6]).start()
    assert notifier.wait_event(5, 10)
    notifier.published(3)
    assert notifier.last_event == 6


def test_closing_lets_everybody_go():
    notifier = Notifier()
    threading.Timer(0.02, notifier.close).start()
    before = time.monotonic()
    assert not notifier.wait_event(0, 30)
    assert time.monotonic() - before < 25


@pytest.mark.parametrize(
    "register", [lambda n: n.register(1), lambda n: n.register_any(lambda _: True)]
)
def test_closing_tells_nobody_that_a_job_has_finished(register):
    """Neither whoever waits already nor whoever comes then waits on."""
    notifier = Notifier()
    early = register(notifier)
    threading.Timer(0.02, notifier.close).start()
    before = time.monotonic()
    assert not early.wait(30)
    assert not register(notifier).wait(30)
    assert time.monotonic() - before < 25


# --- parts of the daemon that listen: as many as like to, each until it ends that ---


class Heard(Subscriber):
    def __init__(self):
        self.news = []

    def finished(self, job):
        self.news.append(("finished", job))

    def removed(self):
        self.news.append("removed")

    def published(self, last_event):
        self.news.append(("published", last_event))


def tell(notifier):
    notifier.finished(7)
    notifier.removed()
    notifier.published(12)


NEWS = [("finished", 7), "removed", ("published", 12)]


def test_several_listen_and_none_takes_the_place_of_another():
    notifier, first, second = Notifier(), Heard(), Heard()
    notifier.subscribe(first)
    notifier.subscribe(second)
    tell(notifier)
    assert (first.news, second.news) == (NEWS, NEWS)


def test_who_has_ended_it_hears_no_more_and_the_others_do():
    notifier, first, second = Notifier(), Heard(), Heard()
    end = notifier.subscribe(first)
    notifier.subscribe(second)
    end()
    end()
    tell(notifier)
    assert (first.news, second.news) == ([], NEWS)


def test_what_was_spared_for_somebody_who_waits_is_free_once_they_have_gone():
    class Freed(Subscriber):
        times = 0

        def released(self):
            self.times += 1

    notifier, subscriber = Notifier(), Freed()
    notifier.subscribe(subscriber)
    with notifier.awaiting(lambda job: job == 3):
        assert (notifier.awaited(3), subscriber.times) == (True, 0)
    assert (notifier.awaited(3), subscriber.times) == (False, 1)
