"""Whoever waits for a write is woken by the kernel; where it has no watch to give, is told so."""

import errno
import os
import threading

import pytest

from jobd.system import inotify
from jobd.system.write_watch import Watched, WriteWatch
from tests.helpers import wait_until


def numbers(writes):
    """How many files inotify watches for it."""
    with open(f"/proc/self/fdinfo/{writes._inotify.descriptor}") as file:
        return sum(line.startswith("inotify ") for line in file)


@pytest.fixture
def writes():
    before = len(os.listdir("/proc/self/fd"))
    made = WriteWatch()
    yield made
    made.close()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "1.1.log"
    path.touch()
    return path


def append(path, text="x"):
    with path.open("a") as file:
        file.write(text)


class Waiter:
    def __init__(self):
        self.woken = threading.Event()

    def wake(self):
        self.woken.set()


def test_a_thousand_wait_at_one_watch_and_each_is_woken(writes, file):
    waiters = [Waiter() for _ in range(1000)]
    assert {writes.add(file, waiter.wake) for waiter in waiters} == {Watched.SINCE_NOW}
    assert writes.add(file, waiters[0].wake) is Watched.BEFORE
    assert numbers(writes) == 1
    append(file)
    assert all(waiter.woken.wait(10) for waiter in waiters)
    for waiter in waiters[1:]:
        writes.discard(file, waiter.wake)
    assert numbers(writes) == 1
    writes.discard(file, waiters[0].wake)
    assert numbers(writes) == 0


def test_only_those_are_woken_who_wait_at_what_was_written(writes, file):
    here, there = Waiter(), Waiter()
    other = file.with_name("2.1.log")
    other.touch()
    writes.add(file, here.wake)
    writes.add(other, there.wake)
    append(file)
    assert here.woken.wait(10)
    append(other)
    assert there.woken.wait(10)


@pytest.mark.parametrize("how", ["replaced", "deleted and made anew", "moved away"])
def test_a_file_that_takes_the_place_of_another_is_watched(writes, file, how):
    waiter = Waiter()
    writes.add(file, waiter.wake)
    fresh = file.with_name("fresh")
    fresh.touch()
    if how == "deleted and made anew":
        file.unlink()
    elif how == "moved away":
        file.rename(file.with_name("away"))
    fresh.rename(file)
    assert waiter.woken.wait(10)
    wait_until(lambda: writes.add(file, waiter.wake) is Watched.BEFORE)
    waiter.woken.clear()
    append(file)
    assert waiter.woken.wait(10)
    assert numbers(writes) == 1


def test_each_who_waits_hears_that_the_watch_is_another(writes, file):
    """What was written between the two watches was seen by none."""
    waiters = [Waiter(), Waiter()]
    for waiter in waiters:
        writes.add(file, waiter.wake)
    file.unlink()
    file.touch()
    assert all(waiter.woken.wait(10) for waiter in waiters)
    wait_until(lambda: writes.add(file, waiters[0].wake) is Watched.BEFORE)
    assert writes.add(file, waiters[1].wake) is Watched.SINCE_NOW
    assert writes.add(file, waiters[1].wake) is Watched.BEFORE


def test_what_is_not_there_is_not_watched_until_it_is(writes, file):
    waiter = Waiter()
    file.unlink()
    assert writes.add(file, waiter.wake) is Watched.NOT
    file.touch()
    assert writes.add(file, waiter.wake) is Watched.SINCE_NOW


def test_without_a_watch_or_a_thread_it_says_so_and_tries_again(writes, file, monkeypatch):
    waiter = Waiter()
    with monkeypatch.context() as patch:
        patch.setattr(inotify._libc, "inotify_init1", lambda _flags: -1)
        assert writes.add(file, waiter.wake) is Watched.NOT

    def none_left(_self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        assert writes.add(file, waiter.wake) is Watched.NOT

    def full(_self, _path, _mask):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(inotify.Inotify, "add", full)
        assert writes.add(file, waiter.wake) is Watched.NOT
    assert writes.add(file, waiter.wake) is Watched.SINCE_NOW
    append(file)
    assert waiter.woken.wait(10)


def test_after_an_overflow_all_are_woken(writes, file, monkeypatch):
    read, lost = inotify.Inotify.read, inotify.Change(inotify.OVERFLOW, 0, b"")
    monkeypatch.setattr(inotify.Inotify, "read", lambda watch: (read(watch), [lost])[1])
    other, waiter = file.with_name("2.1.log"), Waiter()
    other.touch()
    writes.add(file, waiter.wake)
    writes.add(other, Waiter().wake)
    append(other)
    assert waiter.woken.wait(10)


def test_who_comes_while_the_last_one_leaves_is_woken(writes, file):
    """Again and again: the watch of the one must not go with that of the other."""
    stay, stop = Waiter(), threading.Event()

    def come_and_go():
        passing = Waiter()
        while not stop.is_set():
            writes.add(file, passing.wake)
            writes.discard(file, passing.wake)

    threads = [threading.Thread(target=come_and_go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        stay.woken.clear()
        writes.add(file, stay.wake)
        append(file)
        assert stay.woken.wait(10)
        writes.discard(file, stay.wake)
    stop.set()
    for thread in threads:
        thread.join()
    assert numbers(writes) == 0


def test_one_that_breaks_keeps_nobody_else_asleep(writes, file, caplog):
    def broken():
        raise ValueError("broken")

    waiter = Waiter()
    writes.add(file, broken)
    writes.add(file, waiter.wake)
    append(file)
    assert waiter.woken.wait(10)
    assert "could not be woken" in caplog.text


def test_when_it_is_closed_nobody_is_watched_for(file):
    before = len(os.listdir("/proc/self/fd"))
    writes, waiter = WriteWatch(), Waiter()
    writes.add(file, waiter.wake)
    for _ in range(2):
        writes.close()
    assert writes.add(file, waiter.wake) is Watched.NOT
    writes.discard(file, waiter.wake)
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    unused = WriteWatch()
    unused.close()
    assert len(os.listdir("/proc/self/fd")) <= before
