"""The daemon's log stays short, and no line of it is lost."""

import logging
import os

import pytest

from jobd.system.log_file import KEPT, LogFile, follow, open_log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobd.log"


@pytest.fixture
def stream(path):
    """A descriptor in the place of stderr."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


def handler(path, stream, limit, moved=lambda _: None):
    made = LogFile(str(path), limit, moved, (stream,))
    made.setStream(open(stream, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - the handler's
    return made


def say(made, *lines):
    for line in lines:
        made.emit(logging.LogRecord("x", logging.INFO, "", 0, line, None, None))


def test_a_full_log_is_followed_by_a_new_one(path, stream):
    moved = []
    made = handler(path, stream, 30, moved.append)
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
    made = handler(path, stream, 1000, moved.append)
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
    made = handler(path, stream, 1000, moved.append)
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
        say(made, "x")
        assert not path.exists()
    assert (os.read(reading, 9), elsewhere.read_text()) == (b"x\n", "x\n")
    for descriptor in (reading, writing, file):
        os.close(descriptor)


def written(path):
    descriptor = open_log(str(path))
    os.write(descriptor, b"new\n")
    os.close(descriptor)


@pytest.mark.parametrize("what", ["link", "link to nothing", "FIFO", "directory"])
def test_nothing_is_written_into_what_is_no_log(path, tmp_path, what):
    other = tmp_path / "other"
    if what.startswith("link"):
        path.symlink_to(other)
        if what == "link":
            other.write_text("precious\n")
    elif what == "FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(PermissionError, match=r"no log of yours; move it away.*jobd\.log"):
        open_log(str(path))
    assert (other.read_text() if what == "link" else other.exists()) in ("precious\n", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_nothing_is_written_into_the_log_of_another(path):
    path.write_text("theirs\n")
    os.chown(path, 65534, 65534)
    with pytest.raises(PermissionError, match="no log of yours"):
        open_log(str(path))
    assert path.read_text() == "theirs\n"


def test_a_log_with_a_second_name_is_begun_anew(path):
    """Of a rotation that was broken off, for one: the old lines stay under their other name."""
    older = path.with_name("jobd.log.1")
    older.write_text("old\n")
    os.link(older, path)
    written(path)
    assert (older.read_text(), path.read_text()) == ("old\n", "new\n")
    written(path)
    assert path.read_text() == "new\nnew\n"


@pytest.mark.parametrize("what", ["link", "FIFO", "second name", "left over"])
def test_a_rotation_follows_nothing_that_lies_in_its_way(path, stream, tmp_path, what):
    other, fresh = tmp_path / "other", path.with_name("jobd.log.new")
    other.write_text("precious\n")
    if what == "link":
        fresh.symlink_to(other)
    elif what == "FIFO":
        os.mkfifo(fresh)
    elif what == "second name":
        os.link(other, fresh)
    else:
        fresh.write_text("left over\n")
    say(handler(path, stream, 1), "a", "b")
    assert (path.read_text(), other.read_text()) == ("b\n", "precious\n")
    assert not fresh.exists()


def test_a_log_that_becomes_a_link_is_not_followed(path, stream, tmp_path):
    other, away = tmp_path / "other", tmp_path / "away"
    other.write_text("precious\n")
    made = handler(path, stream, 1000)
    path.rename(away)
    path.symlink_to(other)
    made.look()
    say(made, "said")
    assert (other.read_text(), away.read_text()) == ("precious\n", "said\n")
    before = os.fstat(2)
    follow(str(path))
    assert os.path.samestat(os.fstat(2), before)
