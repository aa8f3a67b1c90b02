"""Opening the database, wherever it lies, and what is on disk in which order then."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from jobd.contract.ownership import make_directory
from jobd.store import database
from jobd.store.database import connect, open_writer
from tests.helpers import record_syncs


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobd.db"


def test_a_new_database_has_its_name_on_disk_before_it_has_a_log(path, monkeypatch):
    """A log without a database would be taken for what is left of one that was deleted."""
    logs = []
    synced = record_syncs(
        monkeypatch, lambda: logs.append((path.exists(), (path.parent / "jobd.db-wal").exists()))
    )
    open_writer(path).close()
    assert synced == [str(path.parent)]
    assert logs == [(True, False)]


def test_what_a_killed_daemon_has_left_in_the_log_is_on_disk_before_an_index_tells_of_it(
    path, monkeypatch
):
    """The index may come to the disk without the log: a start after a cut would be refused."""
    with closing(open_writer(path)) as writer:
        writer.execute("INSERT INTO settings VALUES ('a', 'b')")
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", f"{path.with_name('killed.db')}{suffix}")
    killed, connected = path.with_name("killed.db"), []
    synced, connect = record_syncs(monkeypatch), database.connect
    monkeypatch.setattr(
        database, "connect", lambda *what: (connected.append(list(synced)), connect(*what))[1]
    )
    with closing(open_writer(killed)) as writer:
        assert writer.execute("SELECT value FROM settings").fetchall() == [("b",)]
    assert connected == [[f"{killed}-wal"]]


def test_directories_that_are_made_are_on_disk_before_anything_in_them(tmp_path, monkeypatch):
    synced = record_syncs(monkeypatch)
    os.close(make_directory(tmp_path / "one" / "two"))
    assert synced == [str(tmp_path), str(tmp_path / "one")]
    os.close(make_directory(tmp_path / "one" / "two"))
    assert len(synced) == 2


@pytest.mark.parametrize("name", ["plain", "a?b#c%20d", "ä b"])
@pytest.mark.parametrize("slashes", ["", "/", "relative"])
def test_a_path_stays_what_it_is(tmp_path, monkeypatch, name, slashes):
    """Two slashes at its beginning are a path as well: JOBD_HOME=//srv/queue."""
    monkeypatch.chdir(tmp_path)
    path = Path(name) if slashes == "relative" else Path(f"{slashes}{tmp_path / name}")
    with closing(connect(path, "rwc")) as connection:
        connection.execute("PRAGMA user_version = 7")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    with closing(connect(tmp_path / name, "ro")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)
