"""Directories of ours: how they are made, closed, refused and deleted. Second users: tests/e2e."""

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from jobd.contract import ownership, state_directory
from jobd.contract.directories import Directory, Foreign
from jobd.contract.errors import JobdError
from jobd.contract.ownership import NotOurs, make_directory, remove_directory
from jobd.contract.state_directory import make_private


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """A function that sets it for this test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_each_directory_that_is_made_is_ours_alone_whatever_the_umask(home, umask, mask):
    umask(mask)
    make_private(home / "a/b/c")
    umask(0o022)
    assert [mode_of(home / path) for path in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_it_is_so_from_the_first_moment(home, umask, monkeypatch):
    seen = []
    mkdir = os.mkdir

    def watched(path, mode=0o777, **options):
        mkdir(path, mode, **options)
        seen.append(stat.S_IMODE(os.stat(path, dir_fd=options.get("dir_fd")).st_mode))

    monkeypatch.setattr(os, "mkdir", watched)
    umask(0)
    make_private(home / "a/b")
    assert seen == [0o700, 0o700]


def test_directories_that_were_there_stay_as_they_are(home):
    (home / "a").mkdir(mode=0o755)
    make_private(home / "a/b")
    assert (mode_of(home / "a"), mode_of(home / "a/b")) == (0o755, 0o700)


def test_what_holds_other_things_is_not_closed_to_others(home):
    www = home / "www"
    www.mkdir(mode=0o755)
    (www / "index.html").touch()
    (home / "link").symlink_to(www)
    for path in (www, home / "link"):
        with pytest.raises(JobdError, match=r"holds other things and is open.*JOBD_HOME.*chmod"):
            make_private(path)
    assert mode_of(www) == 0o755
    assert os.listdir(www) == ["index.html"]
    make_private(www / "jobd")
    www.chmod(0o700)
    make_private(www)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["config.toml"],
        ["config.toml", "config.toml~", ".config.toml.swp"],
        ["lost+found"],
        ["jobd.db", "notes.txt"],
        ["output", "jobctl-crash-20260101T000000-1.log", "config.toml"],
    ],
)
def test_what_is_empty_or_an_instance_is_closed(home, names):
    place = home / "place"
    place.mkdir(mode=0o755)
    for name in names:
        (place / name).touch()
    make_private(place)
    assert mode_of(place) == 0o700


def test_a_file_that_goes_while_it_is_looked_at_is_no_matter(home, monkeypatch):
    """A daemon that runs makes and deletes files all the time."""
    place = home / "place"
    make_private(place)
    (place / "jobd.log.new").touch()

    def too_late(name):
        (place / name).unlink()
        return True

    monkeypatch.setattr(state_directory, "_is_ours", too_late)
    make_private(place)
    assert os.listdir(place) == []


def test_where_others_can_write_nothing_is_made(home):
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    with pytest.raises(NotOurs, match=r"other users can write .*open; chmod go-w .*JOBD_HOME"):
        make_private(home / "open/jobd")
    assert os.listdir(home / "open") == []
    (home / "open").chmod(0o1777)
    make_private(home / "open/jobd")


def test_a_link_that_leads_nowhere_is_not_filled(home):
    """What it leads to may not be mounted just now."""
    (home / "state").symlink_to(home / "disk/state")
    (home / "disk").mkdir()
    for path in (home / "state", home / "state/jobd"):
        with pytest.raises(JobdError, match="No such file or directory"):
            make_private(path)
    assert os.listdir(home / "disk") == []
    (home / "disk/state").mkdir()
    make_private(home / "state/a/b")
    assert mode_of(home / "disk/state/a/b") == 0o700


def test_a_file_is_no_directory(home):
    (home / "file").touch()
    for path in (home / "file", home / "file/below"):
        with pytest.raises(JobdError, match="Not a directory"):
            make_private(path)
        with pytest.raises(NotADirectoryError):
            make_directory(path)


def test_what_is_deleted_is_a_directory_of_ours_and_no_link_is_followed(home):
    (home / "precious").mkdir()
    (home / "precious/file").touch()
    (home / "link").symlink_to(home / "precious")
    (home / "old/inner").mkdir(parents=True)
    (home / "old/inner/link").symlink_to(home / "precious")
    for name in ("link", "old", "nothing", "nowhere/at/all"):
        remove_directory(home / name)
    assert not (home / "old").exists()
    assert os.listdir(home / "precious") == ["file"]


def test_where_others_can_write_nothing_is_deleted(home):
    (home / "open/old").mkdir(parents=True)
    (home / "open").chmod(0o777)
    with pytest.raises(NotOurs):
        remove_directory(home / "open/old")
    assert (home / "open/old").is_dir()


# --- held open ----------------------------------------------------------------------------------


@pytest.fixture
def place(home):
    """One of ours that has been used."""
    directory = Directory(home / "place")
    os.close(directory.file("a").make(os.O_WRONLY))
    return directory


def read(file):
    with open(file.open(os.O_RDONLY), "rb") as content:
        return content.read()


def anew(directory):
    """Deleted, and made anew by somebody who wants to be taken for it."""
    shutil.rmtree(directory.path)
    os.mkdir(directory.path, 0o700)
    return Path(directory.path)


@pytest.mark.parametrize("mask", [0, 0o777])
def test_where_a_directory_is_not_there_it_is_made_for_its_file(home, umask, mask):
    umask(mask)
    file = Directory(home / "a/b").file("c")
    with pytest.raises(FileNotFoundError):
        file.open(os.O_RDONLY)
    assert not (home / "a").exists()
    os.close(file.make(os.O_WRONLY))
    umask(0o022)
    assert mode_of(home / "a") == mode_of(home / "a/b") == 0o700
    assert mode_of(home / "a/b/c") == 0o600 & ~mask


def test_another_one_is_never_taken_for_it_though_it_is_made_at_once(place):
    """The kernel gives numbers again that are free; one that is open is not."""
    for _ in range(20):
        assert place.is_there()
        anew(place)
        assert not place.is_there()
        place.now()


def test_one_of_ours_in_its_place_is_used_as_it_is_now(place):
    other = anew(place)
    (other / "a").write_text("other")
    assert read(place.file("a")) == b"other"
    os.close(place.file("b").make(os.O_WRONLY))
    assert (other / "b").exists()
    shutil.rmtree(other)
    os.close(place.file("c").make(os.O_WRONLY))
    assert os.listdir(place.path) == ["c"]


def test_what_was_moved_away_is_written_where_the_path_leads_now(place, home):
    os.rename(place.path, home / "moved")
    os.symlink(home / "moved", place.path)
    os.close(place.file("b").make(os.O_WRONLY))
    assert sorted(os.listdir(home / "moved")) == ["a", "b"]


def test_what_others_can_write_is_not_used(place):
    """Nor where the mode of the very same directory was changed meanwhile."""
    os.chmod(place.path, 0o777)
    with pytest.raises(Foreign, match=f"other users can write {place.path}; chmod go-w"):
        place.file("b").make(os.O_WRONLY)
    other = anew(place)
    other.chmod(0o777)
    (other / "a").write_text("other")
    with pytest.raises(Foreign, match="other users can write"):
        read(place.file("a"))
    with pytest.raises(Foreign):
        place.file("a").unlink()
    with pytest.raises(FileNotFoundError):
        place.file("a").take_back()  # where it was: there it is gone
    with pytest.raises(Foreign):
        place.names()
    assert os.listdir(other) == ["a"]


def test_a_sticky_directory_is_none_of_ours(place):
    """On the way to one it is all right: what is ours in it nobody else can replace."""
    other = anew(place)
    other.chmod(0o1777)
    with pytest.raises(Foreign, match="other users can write"):
        place.file("b").make(os.O_WRONLY)
    os.close(Directory(other / "0").file("b").make(os.O_WRONLY))
    assert mode_of(other / "0") == 0o700


def test_only_a_file_is_opened_and_nothing_is_waited_for(place, home):
    os.mkfifo(f"{place.path}/pipe")
    os.symlink(home / "place/a", f"{place.path}/link")
    os.mkdir(f"{place.path}/folder")
    for name, code in (("pipe", errno.ENXIO), ("folder", errno.ENXIO), ("link", errno.ELOOP)):
        with pytest.raises(OSError, match=r"[a-z]") as found:
            place.file(name).open(os.O_RDONLY)
        assert found.value.errno == code


def test_what_is_there_is_read_without_a_look_at_the_path(place, monkeypatch):
    """A look is made every half second at each job that runs, and perhaps on a slow disk."""
    looks, stat_of = [], os.stat

    def note(path, **options):
        looks.append(path)
        return stat_of(path, **options)

    monkeypatch.setattr(os, "stat", note)
    assert read(place.file("a")) == b""
    assert place.file("a").look().st_size == 0
    assert looks == ["a"]
    os.close(place.file("b").make(os.O_WRONLY))
    assert looks == ["a", place.path]
    place.file("b").take_back()
    assert looks == ["a", place.path]


def test_what_is_not_open_any_more_is_closed(place):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        anew(place)
        place.now()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("act", ["make", "replace", "take_back"])
def test_a_directory_that_is_released_meanwhile_is_open_until_it_is_done(home, monkeypatch, act):
    """Its number would be nobody's by then, or another directory's."""
    directory = Directory(home / "a")
    file = directory.file("one")
    os.close(file.make(os.O_WRONLY))

    def between(real):
        def call(*args, **options):
            directory.release()
            return real(*args, **options)

        return call

    for name in ("open", "replace", "unlink"):
        monkeypatch.setattr(os, name, between(getattr(os, name)))
    if act == "make":
        os.close(directory.file("two").make(os.O_WRONLY))
    elif act == "replace":
        file.replace("two")
    else:
        file.take_back()
    found = {"make": {"one", "two"}, "replace": {"two"}, "take_back": set()}
    assert {path.name for path in (home / "a").iterdir()} == found[act]


# --- below one that is held open ------------------------------------------------------------------


@pytest.fixture
def below(place):
    """One in it."""
    directory = place.below("0")
    os.close(directory.file("a").make(os.O_WRONLY))
    return directory


def test_the_way_to_one_below_is_not_walked_again(place, below, monkeypatch):
    walked, walk = [], ownership._walk

    def note(path, *owners, **options):
        walked.append(str(path))
        return walk(path, *owners, **options)

    monkeypatch.setattr(ownership, "_walk", note)
    assert read(place.below("0").file("a")) == b""
    os.close(place.below("1").file("b").make(os.O_WRONLY))
    assert (walked, mode_of(Path(place.path) / "1")) == ([], 0o700)
    with pytest.raises(FileNotFoundError):
        place.below("2").now()
    anew(place)
    os.close(place.below("0").file("c").make(os.O_WRONLY))
    assert walked == [place.path]
    assert below.names() == ["c"]


def test_one_below_is_made_with_all_above_it(home, umask):
    umask(0)
    os.close(Directory(home / "a/b").below("0").file("c").make(os.O_WRONLY))
    assert [mode_of(home / path) for path in ("a", "a/b", "a/b/0")] == [0o700] * 3


def test_nothing_but_a_directory_of_ours_alone_is_entered_below(place, below, home):
    found = Path(below.path)
    os.rename(found, home / "moved")
    os.symlink(home / "moved", found)
    with pytest.raises(NotADirectoryError):
        place.below("0").names()
    found.unlink()
    found.touch()
    with pytest.raises(NotADirectoryError):
        place.below("0").file("b").make(os.O_WRONLY)
    found.unlink()
    found.mkdir()
    for mode in (0o777, 0o1777):
        found.chmod(mode)
        with pytest.raises(Foreign, match="other users can write"):
            place.below("0").file("b").make(os.O_WRONLY)
    found.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(found, 4711, 4711)
        with pytest.raises(Foreign, match="belongs to user number 4711"):
            place.below("0").file("b").make(os.O_WRONLY)
    assert os.listdir(found) == []


def test_whoever_puts_another_one_in_the_place_of_what_it_lies_in_is_not_followed(
    place, below, home, monkeypatch
):
    """Between the look at the path and the step into it."""
    others, found = home / "others", Directory._found
    (others / "0").mkdir(parents=True)
    (others / "0/a").write_text("other")

    def swapped(directory):
        state = found(directory)
        if directory is place and not Path(home / "moved").exists():
            os.rename(place.path, home / "moved")
            os.symlink(others, place.path)
        return state

    monkeypatch.setattr(Directory, "_found", swapped)
    assert read(place.below("0").file("a")) == b""
    assert below.path == f"{place.path}/0"
