"""The files of removed jobs: deleted, and noted as deleted, whatever one of them is like."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobd.contract.paths import Paths
from jobd.daemon.commands import deletion as commands_deletion
from jobd.daemon.commands.deletion import Deletion
from jobd.outputs.limit import note_of
from jobd.outputs.on_disk import DiskWorkspace
from jobd.outputs.workspace import Workspaces
from jobd.store.records import Removed
from tests.helpers import record_syncs


class Store:
    """The jobs whose files are to be deleted, as the database has them noted."""

    def __init__(self, gone):
        self.gone = gone

    def deletions(self, behind, limit):
        found = [(job, attempts, [*engines]) for job, attempts, *engines in self.gone]
        return [Removed(*one) for one in found if one[0] > behind][:limit]

    def deleted(self, jobs):
        self.gone = [one for one in self.gone if one[0] not in jobs]

    def call(self, action):
        action()


@pytest.fixture
def workspace(tmp_path):
    return DiskWorkspace(Paths(tmp_path, tmp_path / "config"))


def deletion(workspace, store, busy=0):
    workspaces = Workspaces("local", {"local": workspace})
    return Deletion(workspaces, SimpleNamespace(busy=busy), store, store, store)


def put(file):
    path = Path(file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_all_attempts_go_with_what_was_noted_of_them(workspace):
    outputs = [workspace.output_file(7, attempt) for attempt in (1, 2)]
    files = [put(output) for output in outputs] + [put(note_of(output)) for output in outputs]
    other = put(workspace.output_file(8, 1))
    store = Store([(7, 2)])
    deletion(workspace, store).delete_outputs()
    assert not any(file.exists() for file in files)
    assert other.exists()
    assert store.gone == []


def test_what_cannot_be_deleted_keeps_no_other_from_it(workspace, caplog):
    stubborn = Path(workspace.output_file(7, 1).path)
    stubborn.mkdir(parents=True)
    file = put(workspace.output_file(8, 1))
    store = Store([(7, 1), (8, 1)])
    deletion(workspace, store).delete_outputs()
    assert stubborn.exists()
    assert not file.exists()
    assert store.gone == []
    assert f"{stubborn} stays: Is a directory" in caplog.text


def test_that_files_are_deleted_is_on_disk_before_it_is_noted(workspace, monkeypatch):
    """Else a power cut brings them back, and nobody knows of them any more."""
    put(workspace.output_file(7, 1))
    put(workspace.output_file(8, 1))
    put(workspace.output_file(2007, 1))
    kept = put(workspace.output_file(2008, 1))
    store, noted = Store([(7, 1), (8, 1), (2007, 1)]), []
    deleted = store.deleted
    store.deleted = lambda jobs: (noted.append(list(synced)), deleted(jobs))
    synced = record_syncs(monkeypatch)
    deletion(workspace, store).delete_outputs()
    assert store.gone == []
    output = Path(workspace.output.path)
    assert noted == [[str(kept.parent), str(output)]]
    assert not (output / "0").exists()


def test_what_cannot_be_brought_to_the_disk_is_tried_again(workspace, monkeypatch, caplog):
    put(workspace.output_file(7, 1))
    store = Store([(7, 1)])

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        deletion(workspace, store).delete_outputs()
    assert store.gone == [(7, 1)]
    assert "what was deleted may come back: " in caplog.text
    deletion(workspace, store).delete_outputs()
    assert store.gone == []


@pytest.mark.parametrize("busy", [0, 1])
def test_no_file_system_is_held_while_nothing_runs(workspace, busy, monkeypatch):
    released = []
    monkeypatch.setattr(workspace, "release", lambda: released.append(True))
    deletion(workspace, Store([]), busy).delete_outputs()
    assert bool(released) is not bool(busy)


# --- several engines ------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path, monkeypatch):
    """A workspace of another engine, whose disk is broken."""
    made = DiskWorkspace(Paths(tmp_path / "far", tmp_path / "config"))
    made.asked = []

    def fail(jobs):
        made.asked.append(sorted(jobs))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(made, "sync_folders", fail)
    return made


@pytest.fixture
def slices(monkeypatch):
    monkeypatch.setattr(commands_deletion, "_SLICE", 2)


def between(near, far, store):
    workspaces = Workspaces("local", {"local": near, "far": far})
    return Deletion(workspaces, SimpleNamespace(busy=0), store, store, store)


@pytest.mark.usefixtures("slices")
def test_a_workspace_that_fails_holds_up_what_it_has_itself(workspace, other):
    files = [put(workspace.output_file(job, 1)) for job in (1, 4, 5, 6)]
    store = Store([(1, 1, "local"), (2, 1, "far"), (3, 1, "far"), (4, 1, "local"),
                   (5, 1, "local", "far"), (6, 1, "local"), (7, 1, "far")])  # fmt: skip
    between(workspace, other, store).delete_outputs()
    assert not any(file.exists() for file in files)
    assert [one[0] for one in store.gone] == [2, 3, 5, 7]
    assert other.asked == [[2]], "where nothing can be done it is asked once"
    between(workspace, other, store).delete_outputs()
    assert [one[0] for one in store.gone] == [2, 3, 5, 7]


@pytest.mark.usefixtures("slices")
def test_where_nobody_knows_whose_it_was_all_are_asked(workspace, other):
    """Noted by an earlier version, or left by an engine that this daemon does not use."""
    files = [put(workspace.output_file(job, 1)) for job in (1, 2)]
    store = Store([(1, 1), (2, 1, "former"), (3, 1, "local")])
    between(workspace, other, store).delete_outputs()
    assert not any(file.exists() for file in files)
    assert [one[0] for one in store.gone] == [1, 2]


def test_an_output_that_an_engine_cannot_even_delete_keeps_no_other(workspace, monkeypatch, caplog):
    put(workspace.output_file(7, 1))
    file = put(workspace.output_file(8, 1))
    delete = workspace.delete

    def broken(job, attempt):
        return delete(job, attempt) if job == 8 else 1 / 0

    monkeypatch.setattr(workspace, "delete", broken)
    store = Store([(7, 1, "local"), (8, 1, "local")])
    deletion(workspace, store).delete_outputs()
    assert not file.exists()
    assert store.gone == [(7, 1, "local")]
    assert "engine local: output of a removed job stays for now" in caplog.text
