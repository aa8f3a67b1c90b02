"""Who is woken by what, with a history that says what the test wants."""

import threading
from typing import NamedTuple

import pytest

from jobd.contract.errors import StoreFailed
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.queries import followers as module
from jobd.daemon.queries.followers import Followers


class Row(NamedTuple):
    seq: int
    job: int | None


class History:
    """In the place of the store's reader."""

    def __init__(self):
        self.rows = []
        self.error = None
        self.asked = []

    def events(self, after, ranges, limit):
        self.asked.append(after)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return [row for row in self.rows if row.seq > after][:limit]


@pytest.fixture
def notifier():
    return Notifier()


@pytest.fixture
def history():
    return History()


@pytest.fixture
def followers(notifier, history):
    made = Followers(notifier, history)
    yield made
    made.close()
    notifier.close()
    if made._thread is not None:
        made._thread.join(10)
        assert not made._thread.is_alive()


class Sleeper:
    """Follows a job in a thread of its own until it is woken once."""

    def __init__(self, followers, job):
        self.woken = threading.Event()
        self._asleep = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(followers, job))
        self._thread.start()
        assert self._asleep.wait(10)

    def _run(self, followers, job):
        with followers.follow(job) as follower:
            follower.forget()
            self._asleep.set()
            follower.wait(None, 20.0)
        self.woken.set()

    def join(self):
        self._thread.join(30)


def happens(notifier, history, *jobs):
    for job in jobs:
        history.rows.append(Row(len(history.rows) + 1, job))
    notifier.published(len(history.rows))


def test_only_those_are_woken_whose_job_it_is(notifier, history, followers):
    sleepers = {job: Sleeper(followers, job) for job in (1, 2, 3)}
    happens(notifier, history, 7, None, 2)
    assert sleepers[2].woken.wait(10)
    assert not sleepers[1].woken.is_set()
    happens(notifier, history, 1, 3)
    for sleeper in sleepers.values():
        assert sleeper.woken.wait(10)
        sleeper.join()


def test_of_more_than_are_read_everybody_is_told(notifier, history, followers, monkeypatch):
    monkeypatch.setattr(module, "_EVENTS", 2)
    sleeper = Sleeper(followers, 5)
    happens(notifier, history, 1, 2, 3, 5)
    assert sleeper.woken.wait(10)
    sleeper.join()


@pytest.mark.parametrize("error", [StoreFailed("disk I/O error"), ValueError("a defect")])
def test_where_it_cannot_be_read_everybody_is_told_and_the_thread_goes_on(
    notifier, history, followers, error, caplog
):
    sleeper = Sleeper(followers, 5)
    history.error = error
    happens(notifier, history, 1)
    assert sleeper.woken.wait(10)
    sleeper.join()
    assert "told" in caplog.text or "read" in caplog.text
    again = Sleeper(followers, 5)
    happens(notifier, history, 5)
    assert again.woken.wait(10)
    again.join()


def test_while_nobody_follows_nothing_is_read(notifier, history, followers):
    happens(notifier, history, 1)
    assert followers._thread is None
    sleeper = Sleeper(followers, 1)
    happens(notifier, history, 1)
    assert sleeper.woken.wait(10)
    sleeper.join()
    assert followers._by_job == {}
    # One event may still find the thread where it waited for the one who has left.
    happens(notifier, history, 1)
    count = len(history.asked)
    for _ in range(20):
        happens(notifier, history, 1)
    assert len(history.asked) <= count + 1


def test_closing_lets_everybody_go(notifier, history, followers):
    sleepers = [Sleeper(followers, job) for job in (1, 1, 2)]
    followers.close()
    assert followers.closed
    for sleeper in sleepers:
        assert sleeper.woken.wait(10)
        sleeper.join()
