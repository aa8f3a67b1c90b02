"""The folder of an attempt, without a cluster: who marks it first, and how it goes."""

import errno
import os
from pathlib import Path

import pytest

from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.script import ASIDE, BEGUN, START

TOKEN = "0123"


@pytest.fixture
def files(tmp_path):
    made = AttemptFiles(str(tmp_path))
    for name in (START, ASIDE):
        os.close(made.folder(TOKEN).file(name).make(os.O_WRONLY))
    Path(made.folder(TOKEN).path, START).write_bytes(b"exit 0\n")
    return made


def node_begins(files):
    """As the shell of a node, by the path that it was told."""
    path = Path(files.folder(TOKEN).path, BEGUN)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def seen(files):
    return files.has_begun(TOKEN), files.begun_at(TOKEN), files.glance(TOKEN)


def test_one_that_is_withdrawn_has_not_begun_and_cannot(files):
    assert files.withdraw(TOKEN)
    assert seen(files) == (False, None, (None, False))
    with pytest.raises(FileExistsError):
        node_begins(files)


def test_a_withdrawal_is_known_again(files):
    """Whoever made it may have died, or not have heard that it was made."""
    assert files.withdraw(TOKEN)
    assert files.withdraw(TOKEN)


def test_a_withdrawal_is_known_where_a_crash_has_left_an_empty_script(files):
    Path(files.folder(TOKEN).path, START).write_bytes(b"")
    assert files.withdraw(TOKEN)
    assert seen(files) == (False, None, (None, False))


@pytest.fixture(params=[errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def linkless(request, monkeypatch):
    """A file system that knows no second name for a file, or no further one."""

    def refused(*_, **__):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("linkless")
def test_one_is_withdrawn_where_there_are_no_hard_links(files):
    assert files.withdraw(TOKEN)
    assert files.withdraw(TOKEN), "an earlier one is known again"
    assert seen(files) == (False, None, (None, False))
    with pytest.raises(FileExistsError):
        node_begins(files)
    files.delete(TOKEN)
    assert files.names() == []


@pytest.mark.usefixtures("linkless")
def test_what_has_begun_is_not_withdrawn_where_there_are_no_hard_links(files):
    node_begins(files)
    assert not files.withdraw(TOKEN)
    assert files.has_begun(TOKEN)


def test_a_link_that_fails_otherwise_withdraws_nothing(files, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(OSError, match="Input/output"):
        files.withdraw(TOKEN)
    node_begins(files)


def test_one_that_a_node_has_begun_cannot_be_withdrawn(files):
    node_begins(files)
    assert not files.withdraw(TOKEN)
    at = files.begun_at(TOKEN)
    assert at is not None
    assert seen(files) == (True, at, (at, False))


@pytest.mark.parametrize("step", ["unlink", "rmdir"])
def test_what_is_deleted_is_begun_by_nobody_meanwhile(files, monkeypatch, step):
    assert files.withdraw(TOKEN)
    act, tried = getattr(os, step), []

    def meanwhile(name, **where):
        act(name, **where)
        with pytest.raises(FileNotFoundError):
            node_begins(files)
        tried.append(name)

    monkeypatch.setattr(os, step, meanwhile)
    files.delete(TOKEN)
    assert tried
    assert files.names() == []


def test_the_mark_is_the_last_that_is_deleted(files, monkeypatch):
    """A node may know the folder under its old name for a while: then it finds no script there."""
    assert files.withdraw(TOKEN)
    unlink, gone = os.unlink, []
    monkeypatch.setattr(os, "unlink", lambda name, **at: gone.append(name) or unlink(name, **at))
    files.delete(TOKEN)
    assert sorted(gone) == [BEGUN, ASIDE, START]
    assert gone[-1] == BEGUN


def test_what_a_crash_has_left_of_a_deletion_is_deleted(files, monkeypatch):
    with monkeypatch.context() as crashing:
        crashing.setattr(os, "unlink", _crash)
        with pytest.raises(KeyboardInterrupt):
            files.delete(TOKEN)
    (left,) = files.names()
    assert left != TOKEN
    files.delete(left)
    assert files.names() == []


def _crash(*_, **__):
    raise KeyboardInterrupt
