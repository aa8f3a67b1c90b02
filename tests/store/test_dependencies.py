"""Who waits for whom, on disk."""

from contextlib import closing

import pytest

from jobd.store.database import open_writer
from jobd.store.dependencies import Dependencies
from jobd.store.records import Parent


@pytest.fixture
def connection(tmp_path):
    with closing(open_writer(tmp_path / "jobd.db")) as made:
        yield made


def test_an_end_asks_nothing_while_nobody_waits_for_anybody(connection):
    dependencies, asked = Dependencies(connection), []
    connection.set_trace_callback(asked.append)
    assert not dependencies.note_change(1)
    dependencies.add([2], [])
    assert not dependencies.note_change(1)
    assert not asked


def test_whoever_waits_is_told_of(connection):
    dependencies = Dependencies(connection)
    dependencies.add([2], [Parent(1, False, False, False)])
    assert dependencies.note_change(1)
    assert not dependencies.note_change(2)


def test_whoever_waited_before_the_start_is_told_of_though_a_rollback_brought_it_back(connection):
    Dependencies(connection).add([2], [Parent(1, False, False, False)])
    dependencies = Dependencies(connection)
    connection.execute("BEGIN")
    dependencies.forget(2)
    assert not dependencies.note_change(1)
    connection.execute("ROLLBACK")
    assert dependencies.note_change(1)
