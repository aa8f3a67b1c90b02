"""The log goes into the database beside the writer: its own commits have nothing to copy."""

import sqlite3
import threading
from contextlib import closing

import pytest

from jobd.contract.errors import StoreGone
from jobd.store import checkpoints as module
from jobd.store.checkpoints import Checkpoints, LogIndex
from jobd.store.database import open_reader, open_writer
from tests.helpers import wait_until

PAGES = 40
"""Of each transaction here, about."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobd.db"


@pytest.fixture
def database(path):
    with closing(open_writer(path, durable=False)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, content BLOB)")
        yield connection


@pytest.fixture
def checkpoints(path, database):
    made = Checkpoints(path, durable=False)
    yield made
    made.close()
    database.close()
    made.forget()


def write(database, number):
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO t VALUES (?, ?)", (number, bytes(4096 * PAGES)))
    database.execute("COMMIT")


def test_nothing_is_done_and_no_thread_is_there_while_the_log_is_short(database, checkpoints):
    write(database, 1)
    checkpoints.look()
    assert checkpoints._index.left >= PAGES
    assert checkpoints._thread is None


def test_a_long_log_is_copied_before_a_commit_has_to(database, checkpoints):
    """A quarter of what makes a commit do it; so at none is much left."""
    most = 0
    for number in range(100):
        write(database, number)
        checkpoints.look()
        # A disk that is as fast as the writer is what the product has to hope for.
        wait_until(lambda: checkpoints._index.left < module._MANY)
        most = max(most, checkpoints._index.left)
    assert most < module._MANY
    assert checkpoints._thread is not None
    # All of it went through a log that began anew now and then.
    assert checkpoints._index.written < 2 * module._SOON
    assert database.execute("SELECT COUNT(*), SUM(LENGTH(content)) FROM t").fetchone() == (
        100,
        100 * 4096 * PAGES,
    )


def test_what_a_reader_still_needs_stays_and_nobody_spins(path, database, checkpoints):
    with closing(open_reader(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM t").fetchone()
        for number in range(30):
            write(database, number)
            checkpoints.look()
        wait_until(lambda: not checkpoints._wanted.is_set())
        assert checkpoints._index.left >= module._MANY
        reader.execute("ROLLBACK")
    write(database, 30)
    checkpoints.look()
    wait_until(lambda: checkpoints._index.left < module._FEW)


def test_without_a_thread_commits_do_it(database, checkpoints, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    for number in range(100):
        write(database, number)
        checkpoints.look()
    assert checkpoints._index.written < 2 * module._SOON
    monkeypatch.undo()
    write(database, 100)


def test_nothing_is_copied_into_what_somebody_else_has_put_there(path, database, caplog):
    def gone():
        raise StoreGone("it was moved")

    made = Checkpoints(path, gone, durable=False)
    for number in range(30):
        write(database, number)
        made.look()
    wait_until(lambda: "copied by commits alone: it was moved" in caplog.text)
    assert made._index.left >= module._MANY
    made.close()
    database.close()
    made.forget()


def test_the_locks_of_the_others_stay_until_the_last_of_them_has_gone(path, database, checkpoints):
    """Any descriptor of the index that is closed takes all of them along (fcntl(2))."""
    for number in range(30):
        write(database, number)
        checkpoints.look()
    checkpoints.close()
    with closing(sqlite3.connect(path)) as other:
        database.execute("BEGIN IMMEDIATE")
        other.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def test_where_there_is_no_index_nothing_is_looked_at(tmp_path):
    nowhere = Checkpoints(tmp_path / "none.db", durable=False)
    nowhere.look()
    nowhere.close()
    nowhere.forget()
    with pytest.raises(FileNotFoundError):
        LogIndex(tmp_path / "none.db")
