"""Which way a daemon ends, and what each order to end means."""

from types import SimpleNamespace

import pytest

from jobd.contract.models import Shutdown
from jobd.daemon import shutdown as module
from jobd.daemon.shutdown import Ending, Inbox, News

NOW = 50_000_000


class Drain:
    """As `execution.drain.Drain`; what runs is said by the test."""

    def __init__(self):
        self.running = [3, 5]
        self.begun = False

    @property
    def is_over(self):
        return self.begun and not self.running

    def begin(self):
        self.begun = True
        return self.running

    def look(self):
        pass


class Link:
    def __init__(self):
        self.told = []

    def draining(self, until):
        self.told.append(until)


class Timer:
    def __init__(self):
        self.due = []

    def after(self, seconds, action):
        self.due.append((seconds, action))
        return action


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(module, "boot_us", lambda: NOW)
    drain, link, timer, ended = Drain(), Link(), Timer(), []
    orders = SimpleNamespace(end_all=lambda: ended.append(True), leave_behind=lambda: None)
    ending = Ending(Inbox(), drain, orders, link, timer)
    return SimpleNamespace(ending=ending, drain=drain, link=link, timer=timer, ended=ended)


def hear(made, *news):
    """What it leaves with, after these; the supervisor dies behind them."""
    for one in (*news, News.ORPHANED):
        made.ending.inbox.put(one)
    return made.ending.hear()


def test_an_order_to_drain_lets_what_runs_end_by_itself(made):
    assert hear(made, News.DRAIN) is News.ORPHANED
    assert (made.drain.begun, made.ended, made.link.told) == (True, [], [None])


def test_a_second_order_ends_what_runs(made):
    hear(made, News.DRAIN, News.DRAIN)
    assert (made.ended, made.link.told) == ([True], [None, NOW])


def test_now_ends_what_runs_at_once(made):
    hear(made, News.NOW)
    assert (made.drain.begun, made.ended, made.link.told) == (True, [True], [NOW])


def test_what_may_not_be_signalled_is_looked_at_once_at_a_time(made):
    """However often somebody asks for the end: each order would have it looked at for ever."""
    hear(made, News.NOW, News.NOW, News.NOW)
    for _ in range(3):
        [(_, look)] = made.timer.due
        made.timer.due.clear()
        look()
    made.drain.running = []
    [(_, look)] = made.timer.due
    made.timer.due.clear()
    look()
    assert made.timer.due == []


def test_it_leaves_when_nothing_runs_any_more_and_not_before(made):
    assert hear(made, News.IDLE) is News.ORPHANED
    assert hear(made, News.DRAIN, News.IDLE) is News.ORPHANED
    made.drain.running = []
    assert hear(made, News.IDLE) is News.IDLE


def test_a_time_limit_can_become_shorter_and_never_longer(made):
    for seconds in (30.0, 10.0, 60.0):
        reply = made.ending.shutdown(Shutdown(timeout=seconds), None)
        assert reply.waiting_for == [3, 5]
    assert made.link.told == [NOW + us for us in (30_000_000, 10_000_000, 10_000_000)]
    assert made.ending.drain_until == NOW + 10_000_000


def test_what_is_over_its_time_is_ended(made):
    made.ending.shutdown(Shutdown(timeout=30.0), None)
    [(seconds, action)] = made.timer.due
    action()
    assert (seconds, hear(made), made.ended) == (30.0, News.ORPHANED, [True])


def test_a_drain_goes_on_under_the_next_daemon_with_its_time_limit(made):
    made.ending.go_on(NOW + 4_000_000)
    assert made.drain.begun
    assert [seconds for seconds, _ in made.timer.due] == [4.0]


def test_one_without_a_limit_goes_on_without_one(made):
    made.ending.go_on(None)
    assert (made.drain.begun, made.timer.due, made.link.told) == (True, [], [None])


@pytest.mark.parametrize(
    ("begun", "news", "told"),
    [
        ([], [], []),
        ([], [News.DRAIN], [None]),
        ([], [News.GONE], [None]),
        ([], [News.NOW], [NOW]),
        ([], [News.DRAIN, News.DRAIN], [None, NOW]),
        ([News.DRAIN], [News.DRAIN], [None, NOW]),
        ([], [News.IDLE, News.RENEW, News.ORPHANED, News.DRAIN], [None]),
    ],
)
def test_what_is_told_behind_the_news_it_leaves_with_is_left_to_the_next_one(
    made, begun, news, told
):
    """It has no time left to end anything itself."""
    hear(made, *begun)
    for one in news:
        made.ending.inbox.put(one)
    made.ending.hear_out()
    assert made.link.told == told
    assert made.drain.begun == bool(told)
    assert (made.ending.drain_until, made.ended) == (NOW if NOW in told else None, [])
