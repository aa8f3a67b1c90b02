"""The daemon's log stays short, and no line of it is lost."""

import logging
import os

import pytest

from jobd.logfile import KEPT, LogFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobd.log"


@pytest.fixture
def stream(path):
    """A descriptor in the place of stderr."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


def handler(path, stream, limit):
    made = LogFile(str(path), limit, (stream,))
    made.setStream(open(stream, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - the handler's
    return made


def say(made, *lines):
    for line in lines:
        made.emit(logging.LogRecord("x", logging.INFO, "", 0, line, None, None))


def test_a_full_log_is_followed_by_a_new_one(path, stream):
    moved = []
    made = handler(path, stream, 30)
    made.share(moved.append)
    lines = [f"line {n:04}" for n in range(9)]
    say(made, *lines)
    files = [path.with_name("jobd.log.2"), path.with_name("jobd.log.1"), path]
    assert "".join(file.read_text() for file in files).split("\n") == [*lines, ""]
    assert moved == [str(path)] * 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_only_so_many_old_ones_stay(path, stream):
    say(handler(path, stream, 1), *"abcdefgh")
    kept = [path, *(path.with_name(f"jobd.log.{n}") for n in range(1, KEPT + 1))]
    assert [file.read_text() for file in kept] == ["h\n", "g\n", "f\n", "e\n"]
    assert sorted(path.parent.iterdir()) == sorted(kept)


def test_who_still_writes_to_the_old_one_loses_nothing(path, stream):
    other = os.dup(stream)
    made = handler(path, stream, 1)
    say(made, "first", "second")
    os.write(other, b"late\n")
    os.close(other)
    assert path.with_name("jobd.log.1").read_text() == "first\nlate\n"
    assert path.read_text() == "second\n"


def test_a_rotation_that_was_broken_off_is_completed(path, stream):
    path.rename(path.with_name("jobd.log.1"))
    path.touch()
    moved = []
    made = handler(path, stream, 1000)
    made.share(moved.append)
    say(made, "x")
    assert (path.read_text(), moved) == ("x\n", [str(path)])


@pytest.mark.parametrize("limit", [0, 1])
def test_without_a_limit_or_elsewhere_nothing_rotates(path, stream, limit):
    if limit:
        path.rename(path.with_name("elsewhere"))
    say(handler(path, stream, limit), "a", "b")
    (file,) = path.parent.iterdir()
    assert file.read_text() == "a\nb\n"


def test_a_directory_that_cannot_be_written_to_keeps_the_log(path, stream, monkeypatch):
    def fails(*_):
        raise OSError("full")

    monkeypatch.setattr(os, "link", fails)
    say(handler(path, stream, 1), "a", "b")
    assert path.read_text() == "a\nb\n"


@pytest.mark.parametrize("how", ["moved", "moved away", "deleted", "rotated by hand"])
def test_a_log_that_is_taken_away_is_begun_anew(path, stream, how):
    moved = []
    made = handler(path, stream, 1000)
    made.share(moved.append)
    say(made, "before")
    if how == "deleted":
        path.unlink()
    else:
        away = path.with_name("elsewhere")
        away.mkdir()
        path.rename((away if how == "moved away" else path.parent) / "old")
    if how == "rotated by hand":
        path.touch()
    made.look()
    say(made, "behind")
    assert (path.read_text(), moved) == ("behind\n", [str(path)])
    made.look()
    assert moved == [str(path)]


def test_a_stream_that_was_never_the_log_stays_what_it_is(path, tmp_path):
    """In the foreground: stderr may be a file elsewhere, or none at all."""
    reading, writing = os.pipe()
    elsewhere = tmp_path / "said"  # beside the log
    file = os.open(elsewhere, os.O_WRONLY | os.O_CREAT)
    for stream in (writing, file):
        made = handler(path, stream, 1000)
        made.share(lambda _: None)
        say(made, "x")
        assert not path.exists()
    assert (os.read(reading, 9), elsewhere.read_text()) == (b"x\n", "x\n")
    for descriptor in (reading, writing, file):
        os.close(descriptor)
