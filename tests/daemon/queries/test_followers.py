"""Who is woken by what, with a history that says what the test wants."""

import threading
import time
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from jobd.contract.errors import StoreFailed
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.queries import followers as module
from jobd.daemon.queries.followers import Followers
from jobd.outputs.in_memory import MemoryOutput
from jobd.system.write_watch import WriteWatch


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
    writes = WriteWatch()
    made = Followers(notifier, history, writes)
    yield made
    made.close()
    writes.close()
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
            follower.wait([], 20.0)
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


# --- outputs of which the kernel does not tell: whoever has them does --------------------------


def test_an_engine_wakes_those_who_follow_what_it_has(followers):
    output = MemoryOutput(1, 1)
    with followers.follow(1) as follower:
        begin = time.monotonic()
        follower.wait([output], 60.0)  # what was written before may have gone unseen: at once
        follower.forget()
        timer = threading.Timer(0.05, output.write, [b"x"])
        timer.start()
        follower.wait([output], 60.0)
        timer.join()
        assert time.monotonic() - begin < 30
        assert len(output._wakes) == 1
    assert output._wakes == []


def test_whoever_watches_hears_of_every_job_and_of_the_daemon(notifier, history, followers):
    for job in (7, None):
        sleeper = Sleeper(followers, None)
        happens(notifier, history, job)
        assert sleeper.woken.wait(10)
        sleeper.join()
    assert followers._by_job == {}


def test_whoever_watches_several_outputs_is_woken_by_each(followers, tmp_path):
    memory, file = MemoryOutput(1, 1), tmp_path / "output"
    file.touch()
    several = [memory, SimpleNamespace(path=str(file), watched=file)]
    with followers.follow(None) as follower:
        follower.wait(several, 60.0)  # what was written before may have gone unseen: at once
        for write in (lambda: memory.write(b"x"), lambda: file.write_bytes(b"x")):
            follower.forget()
            begin = time.monotonic()
            timer = threading.Timer(0.05, write)
            timer.start()
            follower.wait(several, 60.0)
            timer.join()
            assert 0.04 < time.monotonic() - begin < 30
        # One that it does not watch any more is let go, and the other is not.
        follower.wait(several[:1], 0.0)
        assert (len(memory._wakes), followers._writes._files) == (1, {})
    assert memory._wakes == []


def test_whoever_goes_on_to_the_next_attempt_leaves_the_last_one(followers, tmp_path):
    first, second = MemoryOutput(1, 1), MemoryOutput(1, 2)
    file = tmp_path / "output"
    file.touch()
    with followers.follow(1) as follower:
        follower.wait([first], 60.0)
        follower.wait([second], 60.0)
        assert (len(first._wakes), len(second._wakes)) == (0, 1)
        follower.wait([SimpleNamespace(path=str(file), watched=file)], 60.0)
        assert second._wakes == []


def test_what_nobody_can_watch_just_now_is_looked_at_again(followers, monkeypatch):
    output = MemoryOutput(1, 1)

    def fails(_wake):
        raise OSError("no descriptor is left")

    monkeypatch.setattr(output, "watch", fails)
    with followers.follow(1) as follower:
        begin = time.monotonic()
        for _ in range(3):
            follower.wait([output], 60.0)
        assert time.monotonic() - begin < 30
