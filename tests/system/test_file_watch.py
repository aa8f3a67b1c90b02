"""The watch over files, with a kernel that says what the test wants."""

import os
import threading

import pytest

from jobd.system import inotify
from jobd.system.file_watch import FileWatch
from tests.helpers import wait_until


@pytest.fixture
def place(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    return tmp_path


def started(files):
    watch = FileWatch(files)
    watch.start()
    return watch


def test_each_file_is_seen_to_by_its_own_however_its_directory_is_written(place):
    (place / "link").symlink_to(place / "here")
    told = []
    files = [place / "here" / "a", place / "link" / "b", place / "there" / "a"]
    for file in files:
        file.touch()
    (place / "here" / "other").touch()
    watch = started({file: lambda file=file: told.append(file) for file in files})
    (place / "here" / "other").unlink()
    for file in files:
        file.unlink()
    wait_until(lambda: len(told) == 3)
    watch.close()
    assert sorted(told) == sorted(files)


def test_after_an_overflow_all_is_looked_at(place, monkeypatch):
    told = threading.Event()
    read = inotify.Inotify.read
    lost = inotify.Change(inotify.OVERFLOW, 0, b"")
    monkeypatch.setattr(inotify.Inotify, "read", lambda watch: (read(watch), [lost])[1])
    watch = started({place / "here" / "a": told.set})
    (place / "here" / "b").touch()
    (place / "here" / "b").unlink()
    assert told.wait(10)
    watch.close()


def test_without_inotify_and_with_a_broken_helper_it_goes_on(place, monkeypatch, caplog):
    def broken():
        raise ValueError("broken")

    told = []
    file, other = place / "here" / "a", place / "here" / "b"
    watch = started({file: broken, other: lambda: told.append(1)})
    for each in (file, other):
        each.touch()
        each.unlink()
    wait_until(lambda: told)
    watch.close()
    monkeypatch.setattr(inotify._libc, "inotify_init1", lambda _flags: -1)
    watch = started({file: broken})
    watch.close()
    assert "will go unnoticed" in caplog.text


def test_nothing_stays_open(place, monkeypatch):
    before = len(os.listdir("/proc/self/fd"))
    watch = started({place / "here" / "a": lambda: None})
    watch.close()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    with monkeypatch.context() as patch:
        patch.setattr(inotify._libc, "inotify_init1", lambda _flags: -1)
        watch = started({place / "here" / "a": lambda: None})
    watch.close()
    assert len(os.listdir("/proc/self/fd")) <= before
